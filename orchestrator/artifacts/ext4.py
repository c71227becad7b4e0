"""ext4 images made from folders, without mounting anything and without being root."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline

__all__ = ["EPOCH", "format_argv", "image_bytes", "make_ext4", "set_times"]

EPOCH = 1_700_000_000
"""The modification time of everything that we generate (seconds since 1970)."""

_BLOCK = 4096
_INODE = 256
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "pageshare-testbed")


def set_times(root: Path, seconds: int = EPOCH) -> None:
    """Give every file, link and folder below ``root`` one modification time."""
    for folder, _, files in os.walk(root):
        for name in files:
            os.utime(Path(folder) / name, (seconds, seconds), follow_symlinks=False)
        os.utime(folder, (seconds, seconds))


def image_bytes(source: Path, free: int) -> tuple[int, int]:
    """How big an image for ``source`` has to be: (bytes, inodes), ``free`` bytes included."""
    content = 0
    inodes = 64
    for folder, folders, files in os.walk(source):
        content += _BLOCK
        inodes += len(folders) + len(files)
        for name in files:
            size = (Path(folder) / name).lstat().st_size
            content += -(-size // _BLOCK) * _BLOCK
    inodes += free // (64 * 1024)
    # group descriptors, bitmaps, extent blocks: 3 % and 2 MiB cover them
    total = (content + free + inodes * _INODE) * 103 // 100 + (2 << 20)
    return -(-total // (1 << 20)) * (1 << 20), inodes


def format_argv(label: str, inodes: int) -> list[str | Path]:
    """``mke2fs`` for an image of this label, which also fixes its UUID; the file follows."""
    identity = uuid.uuid5(_NAMES, label)
    argv: list[str | Path] = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(_BLOCK)]
    argv += ["-I", str(_INODE), "-N", str(inodes), "-m", "0", "-L", label, "-U", str(identity)]
    argv += ["-O", "^has_journal,^resize_inode,^metadata_csum,^64bit"]
    return [*argv, "-E", f"root_owner=0:0,hash_seed={identity},lazy_itable_init=1"]


def make_ext4(
    image: Path,
    source: Path,
    *,
    label: str,
    free: int = 0,
    log: Log = silent,
    deadline: Deadline | None = None,
) -> None:
    """Write ``image``, an ext4 file system with the contents of ``source``.

    All files belong to root. ``label`` (at most 16 bytes) also fixes the UUID.
    ``free`` is the room left for writing, in bytes (the file is sparse). There is
    no journal: images are read-only or thrown away after a run.
    """
    size, inodes = image_bytes(source, free)
    with image.open("wb") as file:
        file.truncate(size)
    argv: list[str | Path] = [] if os.geteuid() == 0 else ["fakeroot", "--"]
    argv += [*format_argv(label, inodes), "-d", source, image]
    times = {"E2FSPROGS_FAKE_TIME": str(EPOCH)}
    run(argv, env=times, log=log, deadline=deadline)
