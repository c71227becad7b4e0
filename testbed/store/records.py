"""One JSON line a record, to a file or a character device that may be slow.

The reader (the host, over a virtio-serial port) may be away: the store never
waits for it. A record that would block is dropped and counted, and since the
sequence number counts dropped records too, the reader sees the gap.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

__all__ = ["Record", "RecordSink"]

Record = dict[str, Any]


class RecordSink:
    """Numbers records and writes them without blocking."""

    def __init__(self, path: Path) -> None:
        """Opens ``path``; makes it as a file unless it lies under ``/dev``.

        Raises ``OSError`` when it cannot be opened.
        """
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        if not path.is_relative_to("/dev"):
            flags |= os.O_CREAT | os.O_APPEND
        self._fd = os.open(path, flags, 0o644)
        self._rest = b""
        self.sequence = 0
        """Number of the next record."""
        self.dropped = 0

    def write(self, kind: str, fields: Record) -> Record:
        """Completes and writes a record; returns it, written or dropped."""
        record = {
            "kind": kind,
            "sequence": self.sequence,
            "dom0_seconds": round(time.monotonic(), 6),
            **fields,
        }
        self.sequence += 1
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self._flush()
        if self._rest:
            self.dropped += 1
        else:
            self._rest = line
            self._flush()
            if self._rest is line:  # nothing of it went out
                self._rest = b""
                self.dropped += 1
        return record

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)

    def _flush(self) -> None:
        """Writes what is left of a line that went out in part."""
        while self._rest:
            try:
                written = os.write(self._fd, self._rest)
            except OSError:  # would block, or nobody at the other end
                return
            if not written:
                return
            self._rest = self._rest[written:]
