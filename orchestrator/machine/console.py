"""Console logs: whole files on the host, watched for markers and for panics."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PANIC", "ConsoleLog"]

PANIC = re.compile(
    rb"^.*(?:Kernel panic - not syncing|Internal error:|Unable to handle kernel|"
    rb"Oops(?: -|:)|\bBUG: |kernel BUG at|Xen BUG at|Panic on CPU \d+:|"
    rb"Assertion '.*' failed).*$",
    re.MULTILINE,
)
"""First words of a kernel or hypervisor that will not go on (Linux 6.1, Xen 4.17)."""

_TAIL_BYTES = 16384
_OVERLAP = 256
"""A match may straddle two reads; markers and panic lines are shorter than this."""


@dataclass
class ConsoleLog:
    """One console's log file, which QEMU appends to while we read it."""

    name: str
    path: Path
    _scanned: int = 0
    _panic: str | None = None

    def __post_init__(self) -> None:
        self._markers: dict[bytes, int] = {}
        self._begin = 0

    def begin_again(self) -> None:
        """Markers printed so far are of an earlier boot: only new ones count."""
        self._begin = self.size()
        self._markers.clear()

    def contains(self, marker: str) -> bool:
        """Whether ``marker`` has been printed; only what is new is read again."""
        wanted = marker.encode()
        start = self._markers.get(wanted, self._begin)
        if start < 0:
            return True
        data = self._read(start)
        found = wanted in data
        self._markers[wanted] = -1 if found else max(start + len(data) - _OVERLAP, self._begin)
        return found

    def panic(self) -> str | None:
        """The line on which a kernel or Xen gave up, or None so far."""
        if self._panic is None:
            data = self._read(self._scanned)
            if match := PANIC.search(data):
                self._panic = match.group().decode(errors="replace").strip()
            self._scanned = max(self._scanned + len(data) - _OVERLAP, 0)
        return self._panic

    def size(self) -> int:
        """Bytes printed so far."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def text(self, start: int = 0) -> str:
        """What was printed from byte ``start`` on."""
        return self._read(start).decode(errors="replace")

    def tail(self, lines: int = 12) -> str:
        """The last lines, for an error message; empty if nothing was printed."""
        text = self.text(max(self.size() - _TAIL_BYTES, 0))
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).replace("\r", "")
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def _read(self, start: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(start, os.SEEK_SET)
                return file.read()
        except FileNotFoundError:
            return b""
