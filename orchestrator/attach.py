"""Reach a machine by hand: the one that runs, or one booted for the purpose."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from orchestrator.build import build_parts
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError
from orchestrator.machine import Machine, MachineDescription
from orchestrator.machine.session import ENDPOINTS_FILE
from orchestrator.progress import Progress

__all__ = ["open_shell"]

_BOOT_SECONDS = 120.0


def open_shell(name: str, command: list[str], results: Path, progress: Progress) -> int:
    """Run ssh to a domain, interactively or for one command, and return its exit status.

    Raises:
        UserError: the machine has no domain of that name.
    """
    endpoints = _running(results)
    if endpoints is not None:
        return _ssh(endpoints, name, command)

    description = MachineDescription.load()
    _known(name, ["dom0", *(domain.name for domain in description.domains)])
    parts = build_parts(progress)
    with ExitStack() as stack:
        run_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="testbed-shell-")))
        with progress.phase("no machine runs: booting one") as log:
            deadline = Deadline.after(_BOOT_SECONDS)
            files = parts.files(description, run_dir)
            stack.enter_context(Machine.boot(description, files, run_dir, deadline, log=log))
        return _ssh(json.loads((run_dir / ENDPOINTS_FILE).read_text())["ssh"], name, command)


def _running(results: Path) -> dict[str, list[str]] | None:
    """How to reach the newest machine that runs, or None."""
    for file in sorted(results.glob(f"*/{ENDPOINTS_FILE}"), reverse=True):
        known = json.loads(file.read_text())
        if Path(f"/proc/{known['qemu_pid']}").exists():
            endpoints: dict[str, list[str]] = known["ssh"]
            return endpoints
    return None


def _known(name: str, names: Collection[str]) -> None:
    if name not in names:
        raise UserError(f"{name}: no such domain; there are {', '.join(names)}")


def _ssh(endpoints: dict[str, list[str]], name: str, command: list[str]) -> int:
    _known(name, endpoints)
    return subprocess.run([*endpoints[name], *command], check=False).returncode
