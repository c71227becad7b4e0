"""From a 64-bit hash to the ids that carry it, without an object per id."""

from __future__ import annotations

import sys
from array import array

from testbed.store.region import Column

__all__ = ["HashIndex"]

_WORD = (1 << 64) - 1
_MIN_BITS = 8


class HashIndex:
    """Open addressing with linear probing over ids whose hashes lie elsewhere.

    ``hashes[id]`` belongs to the caller and must not change while ``id`` is in
    the index. Ids are positive (0 marks an empty slot). The home slot comes
    from the high bits of the hash times ``mixer`` (odd): a secret one keeps
    whoever chooses the hashes from making them collide. Deletion shifts back,
    so there are no tombstones and a lookup costs the same after any history.
    """

    __slots__ = ("_hashes", "_mask", "_mixer", "_shift", "_slots", "_used")

    def __init__(self, hashes: Column, mixer: int = 1, bits: int = _MIN_BITS) -> None:
        """An index with ``2**bits`` slots that grows by doubling."""
        self._hashes = hashes
        self._mixer = mixer
        self._used = 0
        self._slots = array("I")
        self._resize(bits)

    def __len__(self) -> int:
        return self._used

    @property
    def footprint_bytes(self) -> int:
        """Memory that the slots take."""
        return sys.getsizeof(self._slots)

    def first(self, value: int) -> int:
        """The first id whose hash is ``value``, or 0."""
        slots, hashes, mask = self._slots, self._hashes, self._mask
        at = (value * self._mixer & _WORD) >> self._shift
        while ident := slots[at]:
            if hashes[ident] == value:
                return ident
            at = (at + 1) & mask
        return 0

    def matches(self, value: int) -> list[int]:
        """Every id whose hash is ``value``, in the order of insertion."""
        slots, hashes, mask = self._slots, self._hashes, self._mask
        found: list[int] = []
        at = (value * self._mixer & _WORD) >> self._shift
        while ident := slots[at]:
            if hashes[ident] == value:
                found.append(ident)
            at = (at + 1) & mask
        return found

    def reserve(self, count: int) -> None:
        """Makes room for ``count`` ids in all at once."""
        bits = _MIN_BITS
        while count * 3 > 2 << bits:
            bits += 1
        if 1 << bits > len(self._slots):
            self._resize(bits)

    def add(self, ident: int) -> None:
        """Puts ``ident`` in under ``hashes[ident]``."""
        if (self._used + 1) * 3 > len(self._slots) * 2:
            self._resize(len(self._slots).bit_length())
        slots, mask = self._slots, self._mask
        at = (self._hashes[ident] * self._mixer & _WORD) >> self._shift
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = ident
        self._used += 1

    def remove(self, ident: int) -> None:
        """Takes ``ident`` out; ``KeyError`` when it is not there."""
        slots, hashes, mask, shift = self._slots, self._hashes, self._mask, self._shift
        mixer = self._mixer
        hole = (hashes[ident] * mixer & _WORD) >> shift
        while slots[hole] != ident:
            if not slots[hole]:
                raise KeyError(ident)
            hole = (hole + 1) & mask
        at = hole
        while True:
            at = (at + 1) & mask
            moved = slots[at]
            if not moved:
                break
            # An id may fill the hole unless its home lies behind the hole.
            home = (hashes[moved] * mixer & _WORD) >> shift
            if ((at - home) & mask) >= ((at - hole) & mask):
                slots[hole] = moved
                hole = at
        slots[hole] = 0
        self._used -= 1
        if self._used * 8 < len(slots) > 1 << _MIN_BITS:
            self._resize(len(slots).bit_length() - 2)

    def _resize(self, bits: int) -> None:
        old = self._slots
        self._slots = slots = array("I", (0,)) * (1 << bits)
        self._mask = mask = (1 << bits) - 1
        self._shift = shift = 64 - bits
        hashes, mixer = self._hashes, self._mixer
        for ident in old:
            if ident:
                at = (hashes[ident] * mixer & _WORD) >> shift
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = ident
