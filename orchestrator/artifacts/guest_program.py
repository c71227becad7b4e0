"""Small programs of a folder of C files: cross-built for the guests, or for this machine."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import checkout
from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline

__all__ = ["build_guest_program", "build_host_program"]

_COMPILER = "aarch64-linux-gnu-gcc"
_HOST_COMPILER = "gcc"
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
    return _build(cache, name, folder, name, _COMPILER, log, deadline)


def build_host_program(
    cache: Cache, name: str, folder: str, *, log: Log = silent, deadline: Deadline | None = None
) -> Path:
    """The same program for this machine; arguments and errors as above."""
    return _build(cache, name, folder, f"{name}-host", _HOST_COMPILER, log, deadline)


def _build(
    cache: Cache,
    name: str,
    folder: str,
    kind: str,
    compiler: str,
    log: Log,
    deadline: Deadline | None,
) -> Path:
    sources = checkout() / folder
    version = run([compiler, "-dumpfullversion"], log=log, deadline=deadline).stdout.strip()

    def build(destination: Path) -> None:
        argv: list[str | Path] = [compiler, *_FLAGS, "-o", destination / name]
        run([*argv, *sorted(sources.glob("*.c"))], log=log, deadline=deadline)

    inputs: dict[str, str | Path] = {
        "sources": sources,
        "compiler": version,
        "flags": " ".join(_FLAGS),
    }
    return cache.get(kind, inputs, build, main=name, deadline=deadline).path
