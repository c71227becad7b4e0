"""The forms in which the bytes of an entry are kept, and what they look like.

============ ================================================================
RECEIVED     the payload, as the domU sent it
RECOMPRESSED the page, compressed once more
TWIN         the page, as where the pointers of another entry's, its *base*, moved
NEAR_TWIN    the page, compressed beside what that makes of its base
============ ================================================================

What is not RECEIVED begins with 32 bits of a digest of the page that must come
out, since an entry's fingerprint is that of the payload it came as::

    RECOMPRESSED  check u32 | zstd frame
    both twins    check u32 | base's page id u32 | n u16 | n bytes of runs | zstd frame, or none

The runs move the base's pointers (see ``secondlook/shifts.py``). That is the
page, or, where a frame follows, what the frame was compressed beside.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from testbed.store.protocol import MIN_PAYLOAD

__all__ = ["Difference", "Form", "Malformed", "Recompressed", "unpack"]

_CHECK = struct.Struct("<I")
_DIFFERENCE = struct.Struct("<IIH")


class Form(IntEnum):
    """How an entry's bytes are kept; its number is in the entry, see ``entries.py``."""

    RECEIVED = 0
    RECOMPRESSED = 1
    TWIN = 2
    NEAR_TWIN = 3

    @property
    def has_base(self) -> bool:
        """Whether another entry is needed to make the page."""
        return self >= Form.TWIN


class Malformed(ValueError):
    """Bytes that are not of the form they should be."""


class Recompressed(NamedTuple):
    """A page compressed once more."""

    check: int
    frame: bytes

    def pack(self) -> bytes:
        """What is kept of it."""
        return (_CHECK.pack(self.check) + self.frame).ljust(MIN_PAYLOAD, b"\0")

    @property
    def form(self) -> Form:
        """What it is kept as."""
        return Form.RECOMPRESSED

    @classmethod
    def unpack(cls, kept: bytes) -> Recompressed:
        """The reverse of ``pack``; raises ``Malformed``."""
        if len(kept) < MIN_PAYLOAD:
            raise Malformed("too short")
        return cls(_CHECK.unpack_from(kept)[0], kept[_CHECK.size :])


class Difference(NamedTuple):
    """A page as what tells it from its base."""

    check: int
    base: int
    """Page id of an entry that is not a difference itself."""
    runs: bytes
    frame: bytes
    """Empty where the runs are all."""

    def pack(self) -> bytes:
        """What is kept of it."""
        head = _DIFFERENCE.pack(self.check, self.base, len(self.runs))
        return (head + self.runs + self.frame).ljust(MIN_PAYLOAD, b"\0")

    @property
    def form(self) -> Form:
        """What it is kept as."""
        return Form.NEAR_TWIN if self.frame else Form.TWIN

    @classmethod
    def unpack(cls, kept: bytes) -> Difference:
        """The reverse of ``pack``; raises ``Malformed``."""
        if len(kept) < MIN_PAYLOAD:
            raise Malformed("too short")
        check, base, length = _DIFFERENCE.unpack_from(kept)
        start = _DIFFERENCE.size
        if start + length > len(kept):
            raise Malformed("runs behind the end")
        rest = kept[start + length :]
        return cls(check, base, kept[start : start + length], rest if any(rest) else b"")


def unpack(form: Form, kept: bytes) -> Recompressed | Difference:
    """What is kept in a form that is not RECEIVED; raises ``Malformed``."""
    return Difference.unpack(kept) if form.has_base else Recompressed.unpack(kept)
