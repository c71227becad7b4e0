"""``[domu.image]``: what the domUs' root disks are made with."""

from __future__ import annotations

from typing import Literal, get_args

from orchestrator.errors import UserError
from orchestrator.experiment.table import Table

__all__ = ["Domu", "DomuImage"]

Builder = Literal["auto", "buildroot", "debian"]
Toolchain = Literal["bootlin", "debian"]


class DomuImage(Table):
    """How the image is made; what it can do is the same."""

    builder: Builder = "auto"
    """``auto``: Buildroot where a tree of it is at hand, else Debian's packages."""
    toolchain: Toolchain | None = None
    """Buildroot's compiler: its own choice, a download; or Debian's, with Debian's sources.
    Where left out, what ``BUILDROOT_TOOLCHAIN`` says, else the former."""

    def as_asked(self, builder: str | None, toolchain: str | None) -> DomuImage:
        """With what a command line says, where it says something.

        Raises:
            UserError: there is no such builder or toolchain.
        """
        for option, value, allowed in (
            ("--image-builder", builder, get_args(Builder)),
            ("--buildroot-toolchain", toolchain, get_args(Toolchain)),
        ):
            if value is not None and value not in allowed:
                raise UserError(f"{option} {value}: no such thing; it is {' or '.join(allowed)}")
        given = {"builder": builder, "toolchain": toolchain}
        return self.model_copy(update={key: one for key, one in given.items() if one})


class Domu(Table):
    """What all domUs have in common."""

    image: DomuImage = DomuImage()
