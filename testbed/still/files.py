"""Copies of sparse files: only what was ever written."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["copy_files"]

_PREFIXES = ("header", "arena", "entries", "rows-")


def copy_files(state: Path, copy: Path) -> int:
    """Copies the store's files from ``state`` to ``copy``; bytes copied.

    A copy ends where the last written part ends. Raises ``OSError``.
    """
    copy.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in copy.iterdir():
        old.unlink()
    names = sorted(path.name for path in state.iterdir() if path.name.startswith(_PREFIXES))
    kept = [name for name in names if not name.endswith((".bad", ".new"))]
    return sum(_copy(state / name, copy / name) for name in kept)


def _copy(source: Path, target: Path) -> int:
    copied = 0
    with source.open("rb", buffering=0) as old, target.open("wb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        end = 0
        while end < size:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing was written behind ``end``
                break
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            while start < end:
                start += os.copy_file_range(old.fileno(), new.fileno(), end - start, start, start)
            copied = end
    return copied
