"""SHA-256 of files, folders and plain values, with a memory for big files.

A tarball of 130 MB is hashed once: afterwards its digest is remembered by path,
size and modification time, so that a second build of everything stays instant.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = ["FileDigests", "file_digest", "text_digest", "tree_digest"]

_REMEMBER_FROM_BYTES = 1 << 20


def text_digest(text: str) -> str:
    """SHA-256 (hex) of the UTF-8 bytes of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(root: Path) -> str:
    """SHA-256 (hex) of a folder: names, contents, links and execute bits; not times.

    Python's own by-products (``__pycache__``) are no input and are left out.
    """
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if "__pycache__" in relative.parts:
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            entry = f"link {os.readlink(path)}"  # noqa: PTH115 - the link's own words
        elif stat.S_ISDIR(mode):
            entry = "folder"
        else:
            entry = f"file {bool(mode & 0o111)} {file_digest(path)}"
        total.update(f"{relative.as_posix()}\0{entry}\0".encode())
    return total.hexdigest()


class FileDigests:
    """``file_digest`` with a memory of big files, kept in the folder ``store``."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def of(self, path: Path) -> str:
        """SHA-256 (hex) of a file or a folder."""
        if path.is_dir():
            return tree_digest(path)
        status = path.stat()
        if status.st_size < _REMEMBER_FROM_BYTES:
            return file_digest(path)
        identity = [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino]
        return self.remembered(identity, lambda: file_digest(path))

    def remembered(self, identity: object, make: Callable[[], str]) -> str:
        """What ``make`` says of what has this identity, in words of JSON; asked once."""
        note = self._store / text_digest(json.dumps(identity))
        if note.is_file():
            return note.read_text()
        digest = make()
        self._store.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".{os.getpid()}")
        partial.write_text(digest)
        partial.rename(note)
        return digest
