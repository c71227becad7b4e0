"""What every builder of a domU root disk promises.

The image is an ext4 file system, mounted read-only as ``/dev/xvda``. Its init

- reads ``testbed.name=`` and ``testbed.address=A.B.C.D/N`` from the kernel's command line,
- swaps on ``/dev/xvde``,
- mounts the toolchain disk ``/dev/xvdb`` at ``/toolchain`` and at ``/toolchain/work``
  an overlay of the workload disk ``/dev/xvdc`` (below) and the scratch disk
  ``/dev/xvdd`` (above), each where the disk is there,
- starts an SSH server that lets root in with the checkout's key,
- prints ``testbed: <name> ready`` on the console.
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
