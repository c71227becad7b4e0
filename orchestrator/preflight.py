"""What the host must have, checked before anything is built or booted.

All checks run, and all that is missing is named in one line, so that the user
fixes everything at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.commands import package_of, search_path
from orchestrator.errors import UserError

__all__ = [
    "BUILD_DISK_BYTES",
    "MACHINE_MARGIN_BYTES",
    "PROGRAMS",
    "available_memory",
    "check",
    "missing_programs",
]

PROGRAMS = (
    "aarch64-linux-gnu-gcc",
    "apt-get",
    "bc",
    "bison",
    "cpio",
    "debugfs",
    "dpkg-deb",
    "dpkg-query",
    "flex",
    "gcc",
    "make",
    "mke2fs",
    "mkswap",
    "mmdebstrap",
    "patch",
    "perl",
    "qemu-img",
    "qemu-system-aarch64",
    "ssh-keygen",
    "tar",
    "xz",
)
"""What the orchestrator starts, ``fakeroot`` apart, which only users other than root need."""

BUILD_DISK_BYTES = 8 << 30
"""Room that the cache needs for a first build: two kernel trees and all images."""

MACHINE_MARGIN_BYTES = 512 << 20
"""Memory for QEMU's own needs and the orchestrator, beside the machine's."""


def missing_programs(programs: Iterable[str]) -> list[str]:
    """Those of ``programs`` that ``PATH`` does not lead to; sbin is looked into as well."""
    return [program for program in programs if shutil.which(program, path=search_path()) is None]


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory that can be had without swapping, in bytes (``MemAvailable``)."""
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise UserError(f"{meminfo} has no MemAvailable; the testbed needs Linux 3.14 or later")


def check(
    *,
    machine_memory: int,
    folders: Sequence[tuple[Path, int]],
    programs: Iterable[str] | None = None,
) -> None:
    """Raise one ``UserError`` that names everything the host lacks.

    ``machine_memory`` is the emulated machine's size in bytes, ``folders`` are
    (folder, bytes that must be free there); a folder need not exist yet.
    """
    wanted = list(PROGRAMS) if programs is None else list(programs)
    if programs is None and os.geteuid() != 0:
        wanted.append("fakeroot")
    problems = _program_problems(wanted)
    problems += _memory_problems(machine_memory)
    problems += _disk_problems(folders)
    if problems:
        raise UserError("; ".join(problems))


def _program_problems(programs: Iterable[str]) -> list[str]:
    missing = missing_programs(programs)
    if not missing:
        return []
    packages = " ".join(sorted({package_of(program) for program in missing}))
    return [
        f"missing {'programs' if len(missing) > 1 else 'program'} {', '.join(missing)}: "
        f"apt-get install {packages} (make setup does)"
    ]


def _memory_problems(machine_memory: int) -> list[str]:
    needed = machine_memory + MACHINE_MARGIN_BYTES
    available = available_memory()
    if available >= needed:
        return []
    return [
        f"too little memory: {available >> 20} MiB available, {needed >> 20} MiB "
        f"needed ({machine_memory >> 20} MiB for the machine); close programs or use a bigger host"
    ]


def _disk_problems(folders: Sequence[tuple[Path, int]]) -> list[str]:
    problems = []
    for folder, needed in folders:
        existing = folder.absolute()
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free
        if free < needed:
            problems.append(
                f"too little disk space in {folder}: {free >> 20} MiB free, {needed >> 20} MiB "
                "needed; free some or set TESTBED_CACHE to a folder elsewhere"
            )
    return problems
