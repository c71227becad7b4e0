"""What is told of an image that Buildroot made: ``show-info``, and licences."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.artifacts.buildroot.output import opened_output
from orchestrator.artifacts.buildroot.rootfs import build_rootfs, output_name
from orchestrator.artifacts.buildroot.setup import DEFCONFIG, Toolchain, prepare
from orchestrator.artifacts.buildroot.sources import debian_sources
from orchestrator.artifacts.buildroot.tree import BuildrootTree
from orchestrator.artifacts.context import BuildContext

__all__ = ["write_legal_info"]

_KEPT = ("README", "manifest.csv", "host-manifest.csv", "licenses", "host-licenses")
"""Of ``legal-info``; the sources, which it gathers too, are left out."""


def write_legal_info(
    context: BuildContext, tree: BuildrootTree, toolchain: Toolchain, folder: Path
) -> list[Path]:
    """Write ``show-info.json`` and licences to ``folder``; what was written is returned.

    The licences are those of ``legal-info``, which holds each against the hash that
    Buildroot knows for its own version. Where the sources are Debian's, they are
    Debian's ``copyright`` files.

    Raises:
        InfrastructureError: make failed.
    """
    folder.mkdir(parents=True)
    rootfs = build_rootfs(context, tree, toolchain)
    info = folder / "show-info.json"
    shutil.copyfile(rootfs.folder / "show-info.json", info)
    setup = prepare(context, tree, toolchain)
    if toolchain == "debian":
        sources = debian_sources(context, tree.path, setup.external)
        return [info, *_copyright_files(sources.folder / "source", folder / "copyright")]
    with opened_output(context, setup, output_name(DEFCONFIG, toolchain)) as output:
        output.make("legal-info")
        return [info, *_legal_info(output.folder / "legal-info", folder / "legal-info")]


def _legal_info(made: Path, folder: Path) -> list[Path]:
    folder.mkdir()
    for name in _KEPT:
        if (made / name).is_dir():
            shutil.copytree(made / name, folder / name)
        elif (made / name).exists():
            shutil.copyfile(made / name, folder / name)
    return [folder]


def _copyright_files(sources: Path, folder: Path) -> list[Path]:
    folder.mkdir()
    for file in sorted(sources.glob("*/debian/copyright*")):
        shutil.copyfile(file, folder / file.parts[-3])
    return [folder]
