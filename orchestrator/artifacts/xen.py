"""Debian's Xen for arm64: the hypervisor that QEMU starts with ``-kernel``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree, unpack
from orchestrator.errors import InfrastructureError

__all__ = ["build_xen"]


def build_xen(context: BuildContext) -> Artifact:
    """The hypervisor binary (``Artifact.path`` is the file ``xen``)."""
    tree = debian_tree(context, "xen")

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            unpack(context, tree, Path(scratch))
            binaries = sorted(Path(scratch, "boot").glob("xen-*-arm64"))
            if len(binaries) != 1:
                raise InfrastructureError(
                    f"the Xen package holds {len(binaries)} hypervisors, not 1: "
                    f"{[path.name for path in binaries]}"
                )
            shutil.copyfile(binaries[0], folder / "xen")

    return context.cache.get(
        "xen", {"packages": tree.digest}, build, main="xen", deadline=context.deadline
    )
