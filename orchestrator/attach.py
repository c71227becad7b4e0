"""Reach a machine by hand: the one that runs, or one booted for the purpose."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator.artifacts import BuildContext, Cache
from orchestrator.build import build_parts
from orchestrator.deadline import Deadline
from orchestrator.debugger.session import XEN, debug, find_symbols, need_gdb
from orchestrator.errors import UserError
from orchestrator.machine import Machine, MachineDescription
from orchestrator.machine.endpoints import ENDPOINTS_FILE, Endpoints
from orchestrator.progress import Progress

__all__ = ["open_gdb", "open_shell", "running_machine"]

_BOOT_SECONDS = 120.0


def open_shell(name: str, command: list[str], results: Path, progress: Progress) -> int:
    """Run ssh to a domain, interactively or for one command, and return its exit status.

    Raises:
        UserError: the machine has no domain of that name.
    """
    with _machine(name, [], results, progress) as file:
        endpoints = Endpoints.model_validate_json(file.read_text()).ssh
        _known(name, endpoints)
        return subprocess.run([*endpoints[name], *command], check=False).returncode


def open_gdb(name: str, arguments: Sequence[str], results: Path, progress: Progress) -> int:
    """Run gdb on Xen or a domain, with its symbols, and return gdb's exit status.

    Raises:
        UserError: there is no gdb, nothing of that name, or no symbols of it.
        InfrastructureError: Xen's symbols cannot be fetched, or QEMU does not answer.
    """
    need_gdb()
    with _machine(name, [XEN], results, progress) as file:
        machine = Endpoints.model_validate_json(file.read_text())
        context = BuildContext(Cache.of_user(log=progress.log), log=progress.log)
        symbols = find_symbols(context, machine, name)
        return debug(machine, file, name, symbols, arguments)


def running_machine(results: Path) -> Path | None:
    """The endpoints file of the newest machine that runs, or None."""
    for file in sorted(results.glob(f"*/{ENDPOINTS_FILE}"), reverse=True):
        if Endpoints.read(file) is not None:
            return file
    return None


@contextmanager
def _machine(name: str, also: Sequence[str], results: Path, progress: Progress) -> Iterator[Path]:
    """The endpoints file of the machine that runs, or of one that is booted.

    ``name`` must be one of its domains or of ``also``, or none is booted.
    """
    file = running_machine(results)
    if file is not None:
        yield file
        return
    description = MachineDescription.load()
    _known(name, [*also, "dom0", *(domain.name for domain in description.domains)])
    parts = build_parts(progress)
    with ExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="testbed-shell-")))
        with progress.phase("no machine runs: booting one") as log:
            deadline = Deadline.after(_BOOT_SECONDS)
            files = parts.files(description, run_dir)
            stack.enter_context(Machine.boot(description, files, run_dir, deadline, log=log))
        yield run_dir / ENDPOINTS_FILE


def _known(name: str, names: Collection[str]) -> None:
    if name not in names:
        raise UserError(f"{name}: no such domain; there are {', '.join(names)}")
