"""gdb on a machine that is up: its command line, and that the machine outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.symbols import kernel_symbols, xen_symbols
from orchestrator.deadline import Deadline
from orchestrator.debugger.stub import release
from orchestrator.errors import UserError
from orchestrator.machine.endpoints import Endpoints
from orchestrator.preflight import missing_programs

__all__ = ["GDB", "Symbols", "debug", "find_symbols", "gdb_argv", "need_gdb"]

GDB = "gdb-multiarch"
XEN = "xen"
_COMMANDS = Path(__file__).with_name("gdb_commands.py")
_RELEASE_SECONDS = 10.0


@dataclass(frozen=True)
class Symbols:
    """Files that gdb loads."""

    xen: Path
    kernel: Path | None
    """The domain's; None where Xen alone is looked at."""


def need_gdb() -> None:
    """``UserError`` if there is no gdb that knows arm64."""
    if missing_programs([GDB]):
        raise UserError(
            f"missing program {GDB}: apt-get install {GDB} (testbed gdb alone needs it, so "
            "make setup does not install it)"
        )


def find_symbols(context: BuildContext, machine: Endpoints, name: str) -> Symbols:
    """The symbols of Xen, and of the kernel that the domain ``name`` boots.

    Raises:
        UserError: there is nothing of that name, or its symbols are gone.
        InfrastructureError: Xen's cannot be fetched.
    """
    if machine.gdb is None:
        raise UserError("an older testbed started this machine: it has no gdb stub")
    if name not in machine.images:
        raise UserError(f"{name}: nothing to debug; there are {', '.join(machine.images)}")
    kernel = None if name == XEN else kernel_symbols(context.cache, machine.images[name])
    return Symbols(xen_symbols(context, machine.images[XEN]), kernel)


def gdb_argv(stub: Path, symbols: Symbols, arguments: Sequence[str]) -> list[str]:
    """The command; what the user adds comes last, when gdb is connected already."""
    main, also = symbols.kernel or symbols.xen, []
    if symbols.kernel is not None:
        # they lie apart: Xen from 2 MiB on, Linux in the upper half
        also = [f"add-symbol-file {symbols.xen}"]
    # gdb asks before it adds symbols
    commands = ["set confirm off", *also, "set confirm on"]
    # the files say nothing of stack frames: gdb guesses, and in Xen finds no end
    commands.append("set backtrace limit 32")
    commands += [f"target remote {stub}", f"source {_COMMANDS}", "testbed-where"]
    words = [word for command in commands for word in ("-ex", command)]
    return [GDB, "-q", str(main), *words, *arguments]


def debug(
    machine: Endpoints, file: Path, name: str, symbols: Symbols, arguments: Sequence[str]
) -> int:
    """Run gdb in this terminal, and return its exit status. The machine goes on afterwards.

    Args:
        file: the machine's endpoints, for gdb to look into again.
        name: whose symbols these are.

    Raises:
        UserError: another one debugs this machine.
        InfrastructureError: QEMU does not answer afterwards.
    """
    stub = machine.gdb
    assert stub is not None
    environment = os.environ | {"TESTBED_ENDPOINTS": str(file.resolve()), "TESTBED_TARGET": name}
    try:
        with FileLock(stub.with_suffix(".lock"), timeout=0), _interrupts_are_gdbs():
            try:
                argv = gdb_argv(stub, symbols, arguments)
                return subprocess.run(argv, env=environment, check=False).returncode
            finally:
                release(stub, Deadline.after(_RELEASE_SECONDS))
    except Timeout as error:
        raise UserError("somebody debugs this machine already; one gdb at a time") from error


@contextmanager
def _interrupts_are_gdbs() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to both: gdb stops the machine, and here nothing happens.

    By a handler, since a signal that is ignored would be so in gdb, too.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
