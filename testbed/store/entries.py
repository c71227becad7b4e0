"""Sharing page entries: 16 bytes a page, by page id, in a region.

::

    | fingerprint u64 | offset u32 | length u16 | encoding u8 | group u8 |

``offset`` is the block's in the arena. A record means something only while a
row reaches it, and is overwritten only when none does; so it need not be
cleared, and may be torn while it is written. A block that moves changes
``offset`` alone, in one store.
"""

from __future__ import annotations

import sys
from array import array

from testbed.store.arena import ArenaFull
from testbed.store.region import PAGE, Region, pages

__all__ = ["DAMAGED", "ENTRY_BYTES", "Entries", "entries_size"]

ENTRY_BYTES = 16
DAMAGED = 0xFFFFFFFF
"""The page id of a row whose page was lost; never an entry's."""


def entries_size(pages_at_most: int) -> int:
    """Bytes of the region for so many distinct pages."""
    return pages((pages_at_most + 1) * ENTRY_BYTES)


class Entries:
    """The records, as columns, and which of them are free."""

    __slots__ = (
        "_free",
        "_region",
        "_words",
        "encodings",
        "end",
        "fingerprints",
        "groups",
        "lengths",
        "offsets",
    )

    def __init__(self, region: Region) -> None:
        """All are free; see ``recover``."""
        self._region = region
        self._words = region.column("Q")
        self.fingerprints = region.column("Q", 0, 2)
        self.offsets = region.column("I", 2, 4)
        self.lengths = region.column("H", 6, 8)
        self.encodings = region.column("B", 14, 16)
        self.groups = region.column("B", 15, 16)
        self._free = array("I")
        self.end = 1
        """One more than the largest id in use; 0 is no page."""

    @property
    def capacity(self) -> int:
        """Ids are less than this."""
        return self._region.size // ENTRY_BYTES

    @property
    def found(self) -> int:
        """Ids less than this may have been written in a region that was found."""
        return self._region.data_end // ENTRY_BYTES

    @property
    def reserved_bytes(self) -> int:
        """Memory of the records, in whole pages."""
        return pages(self.end * ENTRY_BYTES)

    @property
    def metadata_bytes(self) -> int:
        """Memory outside of the region."""
        return sys.getsizeof(self._free)

    def take(self) -> int:
        """A free id; ``ArenaFull`` when there is none (more pages than were promised)."""
        if self._free:
            return self._free.pop()
        page = self.end
        if page >= self.capacity:
            raise ArenaFull("no entry is free")
        self.end = page + 1
        return page

    def write(
        self, page: int, fingerprint: int, offset: int, length: int, encoding: int, group: int
    ) -> None:
        """Fills the record of ``page``, which no row reaches yet."""
        at = 2 * page
        self._words[at] = fingerprint
        self._words[at + 1] = offset | length << 32 | encoding << 48 | group << 56

    def free(self, page: int) -> None:
        """``page`` may be taken again: no row reaches it any more."""
        self._free.append(page)

    def forget(self) -> None:
        """All are free; their memory is given back."""
        self._free = array("I")
        if self.end * ENTRY_BYTES > PAGE:
            self._region.discard(0, self._region.size)
        self.end = 1

    def copy_of_lengths(self, end: int) -> array[int]:
        """The column *length* of the ids below ``end``, whether they are free or not."""
        return self._region.copy_of_column("H", 6, 8, end)

    def recover(self, reached: bytearray) -> None:
        """Takes over the ids whose flag in ``reached`` is set; the others are free."""
        self.end = reached.rfind(1) + 1 or 1
        self._free = array("I", [n for n in range(self.end - 1, 0, -1) if not reached[n]])
        self._region.discard(self.end * ENTRY_BYTES, self._region.size)
