"""A small ext4 image whose every byte follows from its contents.

``mke2fs -d`` takes files in the order in which the host's file system lists them, and keeps
the time at which each was last changed there. Here ``debugfs`` is told what to make, one
thing after the other by name, with one time for all: the same tree gives the same image on
any machine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from orchestrator.artifacts.ext4 import EPOCH, format_argv, image_bytes
from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError

__all__ = ["make_exact_ext4"]


def make_exact_ext4(
    image: Path,
    source: Path,
    *,
    label: str,
    log: Log = silent,
    deadline: Deadline | None = None,
) -> None:
    """Write ``image``, an ext4 file system with the contents of ``source`` and little room beside.

    All files belong to root. ``label`` (at most 16 bytes) also fixes the UUID.

    Raises:
        InfrastructureError: there is something else than files, folders and links, or
            debugfs could not make one of them.
    """
    size, inodes = image_bytes(source, 0)
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    times = {"E2FSPROGS_FAKE_TIME": str(EPOCH)}
    run([*format_argv(label, inodes), image], env=times, log=log, deadline=deadline)
    script = "".join(f"{line}\n" for line in _script(source))
    argv: list[str | Path] = ["debugfs", "-w", "-f", "/dev/stdin", image]
    done = run(argv, env=times, log=log, deadline=deadline, input=script)
    # it goes on after an error and ends with status 0; its first line is its own name
    complaints = done.stderr.splitlines()[1:]
    if complaints:
        raise InfrastructureError(f"debugfs, making {image.name}: {complaints[0]}")


def _script(source: Path) -> Iterator[str]:
    """What debugfs has to do: every folder, then what is in it, by name."""
    yield f"set_inode_field / mode 0{source.stat().st_mode:o}"
    folders = [source]
    while folders:
        folder = folders.pop()
        # what is made is made where debugfs is: it takes no path there
        yield f"cd {_quoted(f'/{folder.relative_to(source).as_posix()}')}"
        for path in sorted(folder.iterdir()):
            name = _quoted(path.name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield f"symlink {name} {_quoted(os.readlink(path))}"  # noqa: PTH115 - as it is
                continue
            if stat.S_ISDIR(mode):
                folders.append(path)
                yield f"mkdir {name}"
            elif stat.S_ISREG(mode):
                yield f"write {_quoted(str(path))} {name}"
            else:
                raise InfrastructureError(f"{path}: neither a file nor a folder nor a link")
            yield f"set_inode_field {name} mode 0{mode:o}"


def _quoted(word: str) -> str:
    if '"' in word or "\n" in word:
        raise InfrastructureError(f"{word!r}: not a name for an image")
    return f'"{word}"'
