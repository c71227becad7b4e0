"""The folder in which everything lives that a killed store must find again.

::

    header                      layout, capacity, sharing groups, secret (JSON, mode 0600)
    arena                       the blocks, see arena.py
    entries                     the sharing page entries, see entries.py
    rows-<domid>-<epoch>        one domain's rows, see rows.py
    lock                        held by the store that runs

``header`` and each rows file are written under another name and then renamed:
they are there whole or not at all. What the header says cannot be served (an
unknown layout, another capacity) is moved aside to ``*.bad``, and the store
starts empty.

The folder belongs on a tmpfs: its files must outlive the process, not the
machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from testbed.store.arena import arena_size
from testbed.store.ids import records_size
from testbed.store.protocol import MIN_PAYLOAD
from testbed.store.region import Region
from testbed.store.rows import Rows

__all__ = ["LAYOUT", "Life", "State"]

LAYOUT = 1
_MAGIC = "pageshare-state"
_MAX_GROUPS = 255
_LOCK_SECONDS = 5.0
_ROWS = re.compile(r"rows-([0-9]{1,5})-([0-9a-f]{16})")

log = logging.getLogger("store")


class Life(NamedTuple):
    """One boot of one domain: what its rows belong to."""

    domid: int
    epoch: int
    """Random 64-bit number that the frontend chose at boot."""


class State:
    """Opens the regions by name; knows groups and secret. Without a folder, in memory only."""

    def __init__(
        self, capacity_bytes: int, groups: Sequence[str], folder: Path | None = None
    ) -> None:
        """Opens or makes ``folder`` for an arena of ``capacity_bytes`` and these groups.

        Raises ``OSError`` when the folder cannot be used; ``BlockingIOError``
        when another store runs on it (one that was killed is given 5 s to be gone).
        """
        self.capacity_bytes = capacity_bytes
        self._folder = folder
        self._lock = -1
        header = None
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._or_unlocked():
                _wait_for(self._lock)
                header = self._read_header()
        with self._or_unlocked():
            known = header["groups"] if header else []
            self._groups: list[str] = list(dict.fromkeys([*known, *groups]))
            self._secret = bytes.fromhex(header["secret"]) if header else secrets.token_bytes(32)
            self._write_header()
            for name in self.names():
                if name.endswith(".new"):
                    self.remove(name)
            most = capacity_bytes // MIN_PAYLOAD + 2
            self._rows_bytes = records_size(most)
            self._warn_if_small()
            self.arena = self.region("arena", arena_size(capacity_bytes))
            self.entries = self.region("entries", records_size(most))

    @contextlib.contextmanager
    def _or_unlocked(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self._lock >= 0:
                os.close(self._lock)
            raise

    def group(self, name: str) -> int:
        """Number of a sharing group, the same in every run on this folder."""
        if name not in self._groups:
            self._groups.append(name)
            self._write_header()
        return self._groups.index(name)

    def seed(self, group: int, encoding: int) -> int:
        """Secret 64-bit seed of the fingerprints of a group's pages in an encoding."""
        return self._derive(b"fingerprint", group << 8 | encoding)

    def mixer(self, life: Life) -> int:
        """Secret odd 64-bit number for the index of a domain's keys."""
        return self._derive(b"keys", life.domid << 64 | life.epoch) | 1

    def region(self, name: str, size: int) -> Region:
        """Opens one of the folder's files, with ``size`` bytes or more."""
        return Region(size, self._folder / name if self._folder else None)

    # Rows

    def lives(self) -> list[Life]:
        """Whose rows are there."""
        found = [_ROWS.fullmatch(name) for name in self.names()]
        return [Life(int(m[1]), int(m[2], 16)) for m in found if m]

    def open_rows(self, life: Life) -> Rows:
        """The rows that were found for ``life``."""
        return Rows(self.region(_rows_name(life), self._rows_bytes))

    def make_rows(self, life: Life, group: int) -> Rows:
        """Empty rows for ``life``, whose pages are of sharing group ``group``."""
        name = _rows_name(life)
        self.remove(name)
        region = self.region(f"{name}.new", self._rows_bytes)
        Rows.begin(region, group)
        self.rename(f"{name}.new", name)
        return Rows(region)

    def drop_rows(self, life: Life) -> None:
        """Forgets the rows of ``life``: from here on they reach nothing."""
        self.remove(_rows_name(life))

    # The folder

    def names(self) -> list[str]:
        """Names of the files that are there."""
        return sorted(path.name for path in self._folder.iterdir()) if self._folder else []

    def remove(self, name: str) -> None:
        """Removes a file, if it is there; it stays mapped where it is."""
        if self._folder:
            (self._folder / name).unlink(missing_ok=True)

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name at once, replacing what has it."""
        if self._folder:
            (self._folder / old).rename(self._folder / new)

    def reject(self, reason: str) -> None:
        """Moves everything aside to ``*.bad``, in place of what lies there; one log line."""
        log.error("the state in %s is not used: %s; moved aside to *.bad", self._folder, reason)
        doomed = [n for n in self.names() if n != "lock" and not n.endswith(".bad")]
        for name in sorted(doomed, key=lambda name: name != "header"):
            self.rename(name, f"{name}.bad")

    def close(self) -> None:
        """Unmaps arena and entries, and lets another store use the folder."""
        self.arena.close()
        self.entries.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # Inside

    def _warn_if_small(self) -> None:
        """A write to a mapped file for which a tmpfs has no memory kills the process."""
        if self._folder is None:
            return
        status = os.statvfs(self._folder)
        size, needed = status.f_blocks * status.f_frsize, self.capacity_bytes * 9 // 8
        if size < needed:
            log.warning("%s has room for %d bytes, not %d", self._folder, size, needed)

    def _derive(self, use: bytes, number: int) -> int:
        digest = hashlib.blake2b(
            number.to_bytes(16, "little"), digest_size=8, key=self._secret, person=use
        )
        return int.from_bytes(digest.digest(), "little")

    def _read_header(self) -> dict[str, Any] | None:
        """The header if it can be served; None for a fresh start."""
        assert self._folder is not None
        try:
            text = (self._folder / "header").read_text(encoding="utf-8")
        except FileNotFoundError:
            if self.lives():
                self.reject("there is no header")
            return None
        except UnicodeDecodeError:
            text = ""
        try:
            header = json.loads(text)
        except ValueError:
            header = None
        if reason := self._unfit(header):
            self.reject(reason)
            return None
        return header  # type: ignore[no-any-return]

    def _unfit(self, header: Any) -> str | None:
        if not isinstance(header, dict) or header.get("magic") != _MAGIC:
            return "the header is not one"
        expected = {"layout": LAYOUT, "capacity_bytes": self.capacity_bytes}
        for key, value in expected.items():
            if header.get(key) != value:
                return f"{key} is {header.get(key)!r}, needed: {value}"
        groups, secret = header.get("groups"), header.get("secret")
        if not isinstance(groups, list) or not all(isinstance(name, str) for name in groups):
            return "groups is not a list of names"
        if not isinstance(secret, str) or not re.fullmatch("[0-9a-f]{64}", secret):
            return "secret is not 64 hexadecimal digits"
        return None

    def _write_header(self) -> None:
        if len(self._groups) > _MAX_GROUPS:
            raise OSError(f"{len(self._groups)} sharing groups, not up to {_MAX_GROUPS}")
        if self._folder is None:
            return
        header = {
            "magic": _MAGIC,
            "layout": LAYOUT,
            "capacity_bytes": self.capacity_bytes,
            "groups": self._groups,
            "secret": self._secret.hex(),
        }
        new = self._folder / "header.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(header, file)
        new.rename(self._folder / "header")


def _wait_for(lock: int) -> None:
    """Takes the lock. What a process that was killed held goes a moment later than it."""
    end = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _rows_name(life: Life) -> str:
    return f"rows-{life.domid}-{life.epoch:016x}"
