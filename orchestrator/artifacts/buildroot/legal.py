"""What Buildroot itself tells of an image: ``show-info`` and ``legal-info``."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.artifacts.buildroot.output import opened_output
from orchestrator.artifacts.buildroot.rootfs import build_rootfs, output_name
from orchestrator.artifacts.buildroot.setup import DEFCONFIG, Toolchain, prepare
from orchestrator.artifacts.buildroot.tree import BuildrootTree
from orchestrator.artifacts.context import BuildContext

__all__ = ["write_legal_info"]

_KEPT = ("README", "manifest.csv", "host-manifest.csv", "licenses", "host-licenses")
"""Of ``legal-info``; the sources, which it gathers too, are left out."""


def write_legal_info(
    context: BuildContext, tree: BuildrootTree, toolchain: Toolchain, folder: Path
) -> list[Path]:
    """Write both to ``folder``; the paths of what was written are returned.

    Raises:
        InfrastructureError: make failed.
    """
    folder.mkdir(parents=True)
    rootfs = build_rootfs(context, tree, toolchain)
    written = [folder / "show-info.json"]
    shutil.copyfile(rootfs.folder / "show-info.json", written[0])
    setup = prepare(context, tree, toolchain)
    with opened_output(context, setup, output_name(DEFCONFIG, toolchain)) as output:
        output.make("legal-info")
        for name in _KEPT:
            made, kept = output.folder / "legal-info" / name, folder / "legal-info" / name
            if made.is_dir():
                shutil.copytree(made, kept)
            elif made.exists():
                kept.parent.mkdir(exist_ok=True)
                shutil.copyfile(made, kept)
            else:
                continue
            written.append(kept)
    return written
