"""Small static programs for the guests, cross-built from a folder of C files."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import checkout
from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline

__all__ = ["build_guest_program"]

_COMPILER = "aarch64-linux-gnu-gcc"
_FLAGS = ["-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror"]


def build_guest_program(
    cache: Cache, name: str, folder: str, *, log: Log = silent, deadline: Deadline | None = None
) -> Path:
    """A static arm64 program, from the cache where it is there.

    Args:
        name: of the program.
        folder: of its C files, relative to the checkout.

    Raises:
        UserError: the cross compiler is not installed.
        InfrastructureError: it does not compile.
    """
    sources = checkout() / folder
    version = run([_COMPILER, "-dumpfullversion"], log=log, deadline=deadline).stdout.strip()

    def build(destination: Path) -> None:
        argv: list[str | Path] = [_COMPILER, *_FLAGS, "-o", destination / name]
        run([*argv, *sorted(sources.glob("*.c"))], log=log, deadline=deadline)

    inputs: dict[str, str | Path] = {
        "sources": sources,
        "compiler": version,
        "flags": " ".join(_FLAGS),
    }
    return cache.get(name, inputs, build, main=name, deadline=deadline).path
