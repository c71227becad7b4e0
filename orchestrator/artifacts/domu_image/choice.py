"""Which builder makes the domU images: as asked for, or by what this machine has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from orchestrator.artifacts.buildroot import Toolchain, find_tree
from orchestrator.artifacts.buildroot.tree import FOLDER_VARIABLE
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.domu_image.buildroot import BuildrootDomuImage
from orchestrator.artifacts.domu_image.debian import DebianDomuImage
from orchestrator.artifacts.domu_image.interface import DomuImageBuilder
from orchestrator.commands import Log
from orchestrator.errors import UserError

__all__ = ["BuilderName", "ImageChoice", "choose_builder"]

TOOLCHAIN_VARIABLE = "BUILDROOT_TOOLCHAIN"

BuilderName = Literal["auto", "buildroot", "debian"]


@dataclass(frozen=True)
class ImageChoice:
    """What an experiment file or a command line asks for."""

    builder: BuilderName = "auto"
    """``auto``: Buildroot where there is a tree of it, else Debian's packages."""
    toolchain: Toolchain | None = None
    """Of Buildroot; by ``BUILDROOT_TOOLCHAIN`` where None, else Bootlin's."""


def choose_builder(
    context: BuildContext,
    choice: ImageChoice,
    *,
    tell: Log,
    on_line: Log | None = None,
    environment: Mapping[str, str] = os.environ,
) -> DomuImageBuilder:
    """The builder; nothing is downloaded to find it.

    Args:
        tell: is told, in one line, what ``auto`` became and how to change it.
        on_line: sees what a build of Buildroot's prints.

    Raises:
        UserError: Buildroot is asked for and there is none, ``BUILDROOT_DIR`` is none, or
            ``BUILDROOT_TOOLCHAIN`` is no toolchain.
    """
    if choice.builder == "debian":
        return DebianDomuImage()
    tree = find_tree(context.cache, environment)
    if tree is not None:
        toolchain = choice.toolchain or _usual_toolchain(environment)
        if choice.builder == "auto":
            tell(
                f"domU images: by Buildroot {tree.version} ({tree.path}); "
                "of Debian packages: --image-builder debian"
            )
        return BuildrootDomuImage(tree, toolchain, on_line)
    if choice.builder == "buildroot":
        raise UserError(
            "image builder buildroot: there is no Buildroot tree; name one with "
            f"{FOLDER_VARIABLE}=FOLDER, or run make buildroot, or choose --image-builder debian"
        )
    tell(
        "domU images: of Debian packages, since there is no Buildroot tree; for Buildroot, run "
        f"make buildroot or set {FOLDER_VARIABLE}"
    )
    return DebianDomuImage()


def _usual_toolchain(environment: Mapping[str, str]) -> Toolchain:
    given = environment.get(TOOLCHAIN_VARIABLE) or "bootlin"
    known: tuple[Toolchain, ...] = get_args(Toolchain)
    for toolchain in known:
        if given == toolchain:
            return toolchain
    raise UserError(
        f"{TOOLCHAIN_VARIABLE} = {given}: no such toolchain; allowed: {', '.join(known)}"
    )
