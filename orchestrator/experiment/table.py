"""What every table of an experiment file has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["CheckoutPath", "DomainName", "KernelArguments", "Name", "Table"]

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$",
        description="a letter, then up to 30 letters, digits, '_' or '-'",
    ),
]
DomainName = Annotated[
    str,
    Field(
        # it is part of a disk's serial, which has 20 bytes
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,11}$",
        description="a letter, then up to 11 letters, digits, '_' or '-'",
    ),
]

KernelArgument = Annotated[
    str,
    Field(
        # it stands between quotes in xl's configuration
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:/=+@%-]{0,199}$",
        description="words such as 'name.parameter=value', without spaces or quotes",
    ),
]
KernelArguments = Annotated[tuple[KernelArgument, ...], Field(strict=False, max_length=16)]
"""Words for a domU kernel's command line."""


def _inside_the_checkout(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError("must be a path inside the checkout, without '..'")
    return value


CheckoutPath = Annotated[str, AfterValidator(_inside_the_checkout)]
"""A file, relative to the checkout."""


class Table(BaseModel):
    """A TOML table: frozen, strict, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
