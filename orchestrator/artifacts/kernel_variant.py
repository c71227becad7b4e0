"""A kernel variant: a named list of config fragments, and what Kconfig made of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UserError

__all__ = ["Variant", "dropped_symbols", "load_variant", "parse_config"]

_SET = re.compile(r"^(CONFIG_\w+)=(.*)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")


@dataclass(frozen=True)
class Variant:
    """A named list of config fragments."""

    name: str
    fragments: tuple[Path, ...]


def load_variant(patches: Path, name: str) -> Variant:
    """The variant ``name`` of ``variants.toml`` in the folder of a kernel line.

    Raises ``UserError`` for a broken file, an unknown variant, a missing fragment.
    """
    path = patches / "variants.toml"
    try:
        variants = tomllib.loads(path.read_text()).get("variant", {})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; the checkout is not complete") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from error
    if name not in variants:
        known = ", ".join(sorted(variants)) or "none"
        raise UserError(f"{path}: no kernel variant {name!r}; there are: {known}")
    fragments = tuple(
        patches / "config" / f"{fragment}.config" for fragment in variants[name]["fragments"]
    )
    for fragment in fragments:
        if not fragment.is_file():
            raise UserError(f"{path}: variant {name}: no such fragment: {fragment}")
    return Variant(name, fragments)


def parse_config(lines: Iterable[str]) -> dict[str, str]:
    """The symbols that a Kconfig file names, ``n`` for those that it says are not set."""
    symbols: dict[str, str] = {}
    for raw in lines:
        line = raw.strip()
        if found := _SET.match(line):
            symbols[found[1]] = found[2]
        elif found := _UNSET.match(line):
            symbols[found[1]] = "n"
    return symbols


def dropped_symbols(wanted: Mapping[str, str], final: Mapping[str, str]) -> list[str]:
    """The wanted symbols that Kconfig did not keep, as ``NAME=wanted (got)``."""
    return [
        f"{name}={value} (got {final.get(name, 'n')})"
        for name, value in wanted.items()
        if final.get(name, "n") != value
    ]
