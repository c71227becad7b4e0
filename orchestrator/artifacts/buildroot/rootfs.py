"""A domU's root as Buildroot makes it, before anything that is this checkout's own.

The artifact holds ``rootfs.tar``, ``config`` (Buildroot's ``.config``), ``show-info.json``
(what ``make show-info`` says) and ``packages.json`` (what of it is in the image).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from orchestrator.artifacts.buildroot.output import local_packages, opened_output
from orchestrator.artifacts.buildroot.setup import DEFCONFIG, Toolchain, prepare
from orchestrator.artifacts.buildroot.show_info import target_packages
from orchestrator.artifacts.buildroot.tree import BuildrootTree
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.packages import write_packages
from orchestrator.commands import Log

__all__ = ["build_rootfs", "output_name"]


def build_rootfs(
    context: BuildContext,
    tree: BuildrootTree,
    toolchain: Toolchain,
    *,
    defconfig: str = DEFCONFIG,
    on_line: Log | None = None,
) -> Artifact:
    """The root file system as a tar (``Artifact.path``).

    Raises:
        UserError: Buildroot, its compiler or a program that it needs cannot be had.
        InfrastructureError: the build failed.
    """
    setup = prepare(context, tree, toolchain, defconfig=defconfig)
    inputs = dict(setup.inputs)
    for name in ("Config.in", "external.mk", "board", "package"):
        if (setup.external / name).exists():
            inputs[f"external {name}"] = setup.external / name
    for name in ("overlay", "folders.txt"):  # which board has by a link and by its name
        inputs[f"images {name}"] = context.images / "domu" / name
    for name, source in local_packages(setup.external).items():
        inputs[f"package {name}"] = source

    def build(folder: Path) -> None:
        with opened_output(context, setup, output_name(defconfig, toolchain)) as output:
            output.build(on_line=on_line)
            shutil.copyfile(output.images / "rootfs.tar", folder / "rootfs.tar")
            shutil.copyfile(output.folder / ".config", folder / "config")
            info = output.show_info()
        (folder / "show-info.json").write_text(json.dumps(info, indent=1, sort_keys=True) + "\n")
        write_packages(folder, target_packages(info, setup.debian_versions))

    return context.cache.get(
        "buildroot-rootfs", inputs, build, main="rootfs.tar", deadline=context.deadline
    )


def output_name(defconfig: str, toolchain: Toolchain) -> str:
    """What the output folder of a defconfig is called (``output.opened_output``)."""
    return f"{defconfig.removesuffix('_defconfig')}-{toolchain}"
