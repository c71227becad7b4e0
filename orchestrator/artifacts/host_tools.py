"""Turn a kernel tree that was prepared on the host into one that an arm64 guest goes on with.

Kbuild keeps for every file it made the command that made it (``.<name>.cmd``) and
makes it again when that command changes. The host tools of a prepared tree
(``fixdep``, ``conf``, ``modpost``, …) are programs of the host. Here each of them
is built again by its own recorded command, with the cross compiler in place of
the host's: the same name and the same record, but a program for the guest.
Programs are linked statically: they are started thousands of times, and
emulated dynamic linking costs more than they do.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError

__all__ = ["HOST_MACHINE", "elf_machine", "foreign_files", "rebuild_host_tools", "recorded_command"]

HOST_MACHINE = 62
"""EM_X86_64 (elf.h): what the host's own compiler makes."""

GUEST_MACHINE = 183
"""EM_AARCH64."""

_SAVED = re.compile(r"^(?:saved)?cmd_(?P<target>\S+) := (?P<command>.*)$", re.MULTILINE)


def elf_machine(path: Path) -> int | None:
    """The ``e_machine`` of an ELF file, or None for any other file."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return int.from_bytes(head[18:20], "little")


def foreign_files(tree: Path, machine: int = HOST_MACHINE) -> Iterator[Path]:
    """All ELF files for ``machine`` below ``tree``: objects first, programs after them."""
    programs: list[Path] = []
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not path.is_file() or elf_machine(path) != machine:
            continue
        if path.suffix == ".o":
            yield path
        else:
            programs.append(path)
    yield from programs


def recorded_command(tree: Path, target: Path) -> list[str]:
    """The words of the command that made ``target``, as Kbuild recorded it.

    Raises ``InfrastructureError`` where there is no record or it is no host compile.
    """
    record = target.with_name(f".{target.name}.cmd")
    name = target.relative_to(tree).as_posix()
    text = record.read_text() if record.exists() else ""
    for match in _SAVED.finditer(text):
        if match["target"] == name:
            command = match["command"].split(";")[0].replace("$(pound)", "#").replace("$$", "$")
            words = shlex.split(command)
            if words and words[0] == "gcc":
                return words
    raise InfrastructureError(f"{name}: Kbuild left no record of how the host compiler made it")


def rebuild_host_tools(
    tree: Path,
    *,
    compiler: str = "aarch64-linux-gnu-gcc",
    log: Log = silent,
    deadline: Deadline | None = None,
) -> list[str]:
    """Build every host program and host object in ``tree`` again for the guest.

    Returns their names relative to ``tree``. Raises ``InfrastructureError`` if one
    of them still is a program of the host afterwards.
    """
    done: list[str] = []
    for path in list(foreign_files(tree)):
        words = recorded_command(tree, path)[1:]
        # the dependency file was read and removed by fixdep when the tree was prepared
        words = [word for word in words if not word.startswith("-Wp,-MMD,")]
        static = [] if path.suffix == ".o" else ["-static"]
        path.unlink()
        run([compiler, *static, *words], cwd=tree, log=log, deadline=deadline)
        done.append(path.relative_to(tree).as_posix())
    left = [path.relative_to(tree).as_posix() for path in foreign_files(tree)]
    if left:
        raise InfrastructureError(f"programs of the host are left in {tree}: {' '.join(left)}")
    return done
