"""Which pages may be the base of another, by a digest that both have."""

from __future__ import annotations

import sys
from array import array

from testbed.store.growth import room_for
from testbed.store.hashindex import HashIndex

__all__ = ["Candidates"]

_SHIFT = 32
_WORD = (1 << 64) - 1
_MIXER = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio."""
_MOST = 2
"""Pages of one digest: more would be no better, and take time to tell apart."""


class _HighHalves:
    """32 bits a page id, as the high half of the 64 that an index asks for; 0: not in it."""

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
        self._index = HashIndex(self._digests)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def metadata_bytes(self) -> int:
        """Memory that it takes."""
        return sys.getsizeof(self._digests.halves) + self._index.footprint_bytes

    def find(self, digest: int) -> tuple[int, ...]:
        """The ids with this 64-bit digest, and some with another, the oldest first."""
        return self._index.matches(_kept(digest))[0]

    def add(self, page: int, digest: int) -> None:
        """From here on ``page`` is found by ``digest``, and by no other.

        The oldest of those with this digest makes room where there are enough.
        """
        self.discard(page)
        found = self.find(digest)
        if len(found) >= _MOST:
            self.discard(found[0])
        halves = self._digests.halves
        if page >= len(halves):
            halves.extend(array("I", bytes(4 * (room_for(page + 1) - len(halves)))))
        self._digests[page] = _kept(digest)
        self._index.add(page)

    def discard(self, page: int) -> None:
        """``page`` is not found any more."""
        if page < len(self._digests.halves) and self._digests[page]:
            self._index.remove(page)
            self._digests[page] = 0


def _kept(digest: int) -> int:
    """The half that counts, never 0, mixed: the smallest digest of many is a small number."""
    return ((digest * _MIXER & _WORD) >> _SHIFT or 1) << _SHIFT
