"""The payload disk: what changes from run to run, so that the images need not.

It holds the domU kernel, the sharing store with its native piece, and the
configuration files of one run. It is made anew each time (about a second).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import installed_version
from orchestrator.artifacts.ext4 import make_ext4
from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError

__all__ = ["build_front_library", "build_ring_library", "make_payload"]


def build_ring_library(context: BuildContext) -> Artifact:
    """The store's native piece for arm64 (``Artifact.path`` is the shared library)."""
    return _build_native(context, "ring", "all", "libpageshare_ring.so")


def build_front_library(context: BuildContext) -> Artifact:
    """The other end of the ring for arm64, for measurements in dom0."""
    return _build_native(context, "front", "test-front", "libpageshare_front.so")


def _build_native(context: BuildContext, kind: str, target: str, library: str) -> Artifact:
    native = context.root / "testbed" / "store" / "native"

    def build(folder: Path) -> None:
        argv: list[str | Path] = ["make", "-C", native, "CC=aarch64-linux-gnu-gcc", target]
        run([*argv, f"OUT={folder}"], log=context.log, deadline=context.deadline.within(120))

    inputs: dict[str, str | Path] = {
        f"source {path.relative_to(native).as_posix()}": path
        for path in sorted(native.rglob("*"))
        if path.suffix in {".c", ".h"} or path.name == "Makefile"
    }
    inputs["compiler"] = installed_version("gcc-12-aarch64-linux-gnu")
    inputs["libxxhash-dev"] = installed_version("libxxhash-dev")
    return context.cache.get(kind, inputs, build, main=library, deadline=context.deadline)


def make_payload(
    dest: Path,
    kernel: Path,
    files: Mapping[str, bytes | Path],
    *,
    log: Log = silent,
    deadline: Deadline | None = None,
) -> Path:
    """Write the payload disk ``dest``: ``/kernel`` and ``files`` (path -> contents).

    A ``Path`` stands for that file's contents. Raises ``UserError`` for a path that
    leaves the disk.
    """
    with tempfile.TemporaryDirectory(dir=dest.parent) as scratch:
        root = Path(scratch)
        root.chmod(0o755)
        for name, content in {"kernel": kernel, **files}.items():
            target = root / name
            if target == root or not Path(os.path.normpath(target)).is_relative_to(root):
                raise UserError(f"payload file {name!r}: not a path inside the disk")
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, target)
            else:
                target.write_bytes(content)
        make_ext4(dest, root, label="payload", log=log, deadline=deadline)
    return dest
