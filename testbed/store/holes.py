"""The arena's free space: holes in lists by size, kept in the holes themselves.

Everything here is derived: a store that starts again forgets the holes and
finds them as what lies between the blocks that are reached. So these words
may be written in any order; they only ever lie where no block is.

A hole of n granules of 8 bytes, in 64-bit words::

    | 0 u16 | before u16 | n u32 | next u32, previous u32 | ... | 0 u32 | n u32 |

``before`` is the size of the block in front of it (two holes never touch).
The last word lets the block behind find the hole's start. In a hole of one
granule both are the same word; one of two has no room for the links. Neither
is listed: no block is that small.
"""

from __future__ import annotations

import ctypes

from testbed.store.layout import HOLE_KINDS, ArenaState
from testbed.store.region import Column

__all__ = ["Holes"]

_WORD = 0xFFFFFFFF
_REST = HOLE_KINDS - 1
"""The list of those that are larger than any block."""


class Holes:
    """Free granules of an arena, by size: exact up to the largest block's, the rest in one list."""

    __slots__ = ("_bits", "_heads", "_links", "_smallest", "_state", "_words")

    def __init__(self, state: ArenaState, words: Column, links: Column, smallest: int) -> None:
        """``words`` and ``links`` are the arena as integers of 64 and of 32 bits.

        ``smallest`` is the size of the smallest block.
        """
        self._state = state
        self._words = words
        self._links = links
        self._smallest = smallest
        self._heads = state.hole_heads  # by size; 0: none
        self._bits = state.hole_bits  # bit n: a hole of n granules exists

    def forget(self) -> None:
        """Empties the lists."""
        for part in (self._heads, self._bits):
            ctypes.memset(part, 0, ctypes.sizeof(part))
        self._state.hole_granules = 0

    @property
    def granules(self) -> int:
        """Granules in all holes."""
        return int(self._state.hole_granules)

    def add(self, start: int, size: int, before: int) -> None:
        """Makes a hole of ``size`` granules at ``start``, behind a block of ``before``."""
        words = self._words
        words[start] = before << 16 | size << 32
        self._state.hole_granules += size
        if size > 1:
            words[start + size - 1] = size << 32
        if size < self._smallest:
            return
        kind = min(size, _REST)
        head = self._heads[kind]
        words[start + 1] = head
        if head:
            self._links[2 * head + 3] = start
        self._heads[kind] = start
        self._bits[kind >> 6] |= 1 << (kind & 63)

    def remove(self, start: int, size: int) -> None:
        """Forgets the hole of ``size`` granules at ``start``."""
        self._state.hole_granules -= size
        if size < self._smallest:
            return
        links = self._words[start + 1]
        following, previous = links & _WORD, links >> 32
        if following:
            self._links[2 * following + 3] = previous
        if previous:
            self._links[2 * previous + 2] = following
            return
        kind = min(size, _REST)
        self._heads[kind] = following
        if not following:
            self._bits[kind >> 6] &= ~(1 << (kind & 63))

    def fitting(self, size: int) -> int:
        """Start of the smallest hole that takes ``size`` granules (a block's), or 0."""
        larger = int.from_bytes(self._bits, "little") >> size
        if not larger:
            return 0
        return int(self._heads[size + (larger & -larger).bit_length() - 1])
