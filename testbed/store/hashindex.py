"""From a 64-bit hash to the ids that carry it, without an object per id."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence

from testbed.store.layout import IndexState
from testbed.store.region import Column

__all__ = ["HashIndex"]

_MIN_BITS = 8


class HashIndex:
    """Open addressing with linear probing over ids whose hashes lie elsewhere.

    ``hashes[id]`` belongs to the caller and must not change while ``id`` is in
    the index. Ids are positive (0 marks an empty slot). The home slot comes
    from the hash's *high* bits. Deletion shifts back, so there are no
    tombstones and a lookup costs the same after any history.

    A slot that ``locate`` or ``matches`` gave is good until the next ``fill``
    or ``clear``: what is found is dropped, and what is not found is put in,
    without looking twice.
    """

    __slots__ = ("_hashes", "_mask", "_shift", "slots", "state")

    def __init__(self, hashes: Column, bits: int = _MIN_BITS) -> None:
        """An index with ``2**bits`` slots that grows and shrinks by factors of two."""
        self._hashes = hashes
        self.state = IndexState()
        self.slots = array("I")
        """The id in each slot, or 0."""
        self._resize(bits)

    def __len__(self) -> int:
        return int(self.state.used)

    @property
    def footprint_bytes(self) -> int:
        """Memory that the slots take."""
        return sys.getsizeof(self.slots)

    def locate(self, value: int) -> int:
        """The slot of the first id whose hash is ``value``, or the empty one where it would go."""
        slots, hashes, mask = self.slots, self._hashes, self._mask
        at = value >> self._shift
        while ident := slots[at]:
            if hashes[ident] == value:
                break
            at = (at + 1) & mask
        return at

    def matches(self, value: int) -> tuple[tuple[int, ...], int]:
        """Every id whose hash is ``value``, oldest first, and the empty slot for another one."""
        slots, hashes, mask = self.slots, self._hashes, self._mask
        found: tuple[int, ...] = ()
        at = value >> self._shift
        while ident := slots[at]:
            if hashes[ident] == value:
                found = (*found, ident)
            at = (at + 1) & mask
        return found, at

    def first(self, value: int) -> int:
        """The first id whose hash is ``value``, or 0."""
        return self.slots[self.locate(value)]

    def fill(self, slot: int, ident: int) -> None:
        """Puts ``ident`` into the empty ``slot`` that was given for its hash."""
        self.slots[slot] = ident
        state = self.state
        state.used += 1
        if state.used > state.room:
            self._resize(len(self.slots).bit_length())

    def clear(self, slot: int) -> None:
        """Takes the id in ``slot`` out."""
        slots, hashes, mask, shift = self.slots, self._hashes, self._mask, self._shift
        at = slot
        while moved := slots[at := (at + 1) & mask]:
            # An id may fill the hole unless its home lies behind the hole.
            if ((at - (hashes[moved] >> shift)) & mask) >= ((at - slot) & mask):
                slots[slot] = moved
                slot = at
        slots[slot] = 0
        self.state.used -= 1
        if self.state.used * 8 < mask and mask >> _MIN_BITS:
            self._resize(mask.bit_length() - 1)

    def add(self, ident: int) -> None:
        """Puts ``ident`` in under ``hashes[ident]``, behind those that have it already."""
        self.fill(self.matches(self._hashes[ident])[1], ident)

    def remove(self, ident: int) -> None:
        """Takes ``ident`` out; ``KeyError`` when it is not there."""
        slots, mask = self.slots, self._mask
        at = self._hashes[ident] >> self._shift
        while slots[at] != ident:
            if not slots[at]:
                raise KeyError(ident)
            at = (at + 1) & mask
        self.clear(at)

    def add_all(self, idents: Sequence[int]) -> None:
        """``add`` for many at once: makes room once, and looks things up once."""
        bits = _MIN_BITS
        while (len(self) + len(idents)) * 3 > 2 << bits:
            bits += 1
        if 1 << bits > len(self.slots):
            self._resize(bits)
        self._place(idents)
        self.state.used += len(idents)

    def _resize(self, bits: int) -> None:
        old, size = self.slots, 1 << bits
        self.slots = slots = array("I", (0,)) * size
        self._mask, self._shift = size - 1, 64 - bits
        state = self.state
        state.slots, state.room = slots.buffer_info()[0], size * 2 // 3
        state.mask, state.shift = self._mask, self._shift
        self._place(filter(None, old))

    def _place(self, idents: Iterable[int]) -> None:
        """Puts ``idents`` behind what is there; there is room for them."""
        slots, hashes, mask, shift = self.slots, self._hashes, self._mask, self._shift
        for ident in idents:
            at = hashes[ident] >> shift
            while slots[at]:
                at = (at + 1) & mask
            slots[at] = ident
