"""The contract of domU root disks: what every builder's image is, and does.

``tests/system/test_domu_image.py`` holds each builder's image against it.

The image is an ext4 file system of at most 20 MB, mounted read-only as ``/dev/xvda``. The
same inputs give the same bytes. Beside it lies ``packages.json``, what it is made of
(``artifacts.packages``). Its init, started by the testbed's kernel under Xen,

- reads ``testbed.name=`` and ``testbed.address=A.B.C.D/N`` from the kernel's command line,
- swaps on ``/dev/xvde``,
- mounts the toolchain disk ``/dev/xvdb`` at ``/toolchain`` and at ``/toolchain/work``
  an overlay of the workload disk ``/dev/xvdc`` (``/mnt/workload``, below) and the scratch
  disk ``/dev/xvdd`` (``/mnt/scratch``, above), each where the disk is there,
- mounts proc, sys with debugfs, devpts, and file systems in memory at ``/run`` and ``/tmp``,
- starts an SSH server that lets root in with the checkout's key, and with nothing else,
  at most 30 s (times the slowness factor) after ``xl create``,
- prints ``testbed: <name> ready`` on the console,
- ends at ``xl shutdown`` with what was written on the scratch disk.

Programs of its own: what ``testbed/images/domu/applets.txt`` names. Workloads bring theirs,
static, by SSH; the compiler is on the toolchain disk.
"""

from __future__ import annotations

from typing import Protocol

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext

__all__ = ["DomuImageBuilder"]


class DomuImageBuilder(Protocol):
    """Builds the domU root disk."""

    @property
    def name(self) -> str:
        """The builder's name as the manifest has it."""
        ...

    def build(self, context: BuildContext) -> Artifact:
        """The ext4 image (``Artifact.path`` is the file)."""
        ...
