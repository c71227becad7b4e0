"""Which pages may be the base of another, by what is left of them without pointers."""

from __future__ import annotations

import sys
from array import array

from testbed.store.hashindex import HashIndex

__all__ = ["Candidates"]

_SHIFT = 32
_SPARE = 64
"""More than is needed now, where something grows by one page at a time."""


class _HighHalves:
    """32 bits a page id, as the high half of the 64 that an index asks for."""

    def __init__(self) -> None:
        self.halves = array("I")

    def __getitem__(self, page: int) -> int:
        return self.halves[page] << _SHIFT

    def __setitem__(self, page: int, value: int) -> None:
        self.halves[page] = value >> _SHIFT


class Candidates:
    """Page ids by a digest of which 32 bits are kept: what is found must be looked at.

    Nobody tells it of pages that are gone, so what is found may be of an earlier
    page of that id.
    """

    def __init__(self) -> None:
        """Nothing is in it."""
        self._digests = _HighHalves()
        self._in = bytearray()
        self._index = HashIndex(self._digests)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def metadata_bytes(self) -> int:
        """Memory that it takes."""
        return (
            sys.getsizeof(self._digests.halves)
            + sys.getsizeof(self._in)
            + self._index.footprint_bytes
        )

    def find(self, digest: int) -> tuple[int, ...]:
        """The ids with this 64-bit digest, and some with another."""
        return self._index.matches(digest >> _SHIFT << _SHIFT)[0]

    def add(self, page: int, digest: int) -> None:
        """From here on ``page`` is found by ``digest``, and by no other."""
        self.discard(page)
        if page >= len(self._in):
            more = page + 1 + _SPARE + page // 32 - len(self._in)
            self._in.extend(bytes(more))
            self._digests.halves.extend(array("I", bytes(4 * more)))
        self._digests[page] = digest
        self._in[page] = 1
        self._index.add(page)

    def discard(self, page: int) -> None:
        """``page`` is not found any more."""
        if page < len(self._in) and self._in[page]:
            self._index.remove(page)
            self._in[page] = 0
