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

import sys
from array import array

from testbed.store.region import Column

__all__ = ["Holes"]

_WORD = 0xFFFFFFFF


class Holes:
    """Free granules of an arena, by size: exact up to ``largest``, the rest in one list."""

    __slots__ = ("_bits", "_heads", "_largest", "_links", "_smallest", "_words", "granules")

    def __init__(self, words: Column, links: Column, smallest: int, largest: int) -> None:
        """``words`` and ``links`` are the arena as integers of 64 and of 32 bits."""
        self._words = words
        self._links = links
        self._smallest = smallest
        self._largest = largest
        self.forget()

    def forget(self) -> None:
        """Empties the lists."""
        self._heads = array("I", bytes(4 * (self._largest + 2)))  # by size; 0: none
        self._bits = 0  # bit n: a hole of n granules exists
        self.granules = 0
        """Granules in all holes."""

    @property
    def metadata_bytes(self) -> int:
        """Memory outside of the arena."""
        return sys.getsizeof(self._heads)

    def add(self, start: int, size: int, before: int) -> None:
        """Makes a hole of ``size`` granules at ``start``, behind a block of ``before``."""
        words = self._words
        words[start] = before << 16 | size << 32
        self.granules += size
        if size > 1:
            words[start + size - 1] = size << 32
        if size < self._smallest:
            return
        kind = size if size <= self._largest else self._largest + 1
        head = self._heads[kind]
        words[start + 1] = head
        if head:
            self._links[2 * head + 3] = start
        self._heads[kind] = start
        self._bits |= 1 << kind

    def remove(self, start: int, size: int) -> None:
        """Forgets the hole of ``size`` granules at ``start``."""
        self.granules -= size
        if size < self._smallest:
            return
        links = self._words[start + 1]
        following, previous = links & _WORD, links >> 32
        if following:
            self._links[2 * following + 3] = previous
        if previous:
            self._links[2 * previous + 2] = following
            return
        kind = size if size <= self._largest else self._largest + 1
        self._heads[kind] = following
        if not following:
            self._bits &= ~(1 << kind)

    def fitting(self, size: int) -> int:
        """Start of the smallest hole that takes ``size`` granules (up to ``largest``), or 0."""
        larger = self._bits >> size
        if not larger:
            return 0
        return self._heads[size + (larger & -larger).bit_length() - 1]
