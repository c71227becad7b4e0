"""Sharing page entries: 16 bytes a page, by page id, in a region.

::

    | fingerprint u64 | offset u32 | length u16 | encoding u8 | group u8 |

``offset`` is the block's in the arena. A record means something only while a
row reaches it, and is overwritten only when none does (a free one by the chain
of the free ones, see ``ids.py``); so it need not be cleared, and may be torn
while it is written. A block that moves changes
``offset`` alone, in one store.
"""

from __future__ import annotations

from array import array

from testbed.store.ids import Ids
from testbed.store.region import Region

__all__ = ["DAMAGED", "Entries"]

DAMAGED = 0xFFFFFFFF
"""The page id of a row whose page was lost; never an entry's."""


class Entries:
    """The records, as columns, and which of them are free."""

    __slots__ = (
        "_region",
        "_words",
        "encodings",
        "fingerprints",
        "groups",
        "ids",
        "lengths",
        "offsets",
    )

    def __init__(self, region: Region) -> None:
        """All are free; see ``Ids.recover``."""
        self._region = region
        self._words = region.column("Q")
        self.ids = Ids(region)
        self.fingerprints = region.column("Q", 0, 2)
        self.offsets = region.column("I", 2, 4)
        self.lengths = region.column("H", 6, 8)
        self.encodings = region.column("B", 14, 16)
        self.groups = region.column("B", 15, 16)

    def write(
        self, page: int, fingerprint: int, offset: int, length: int, encoding: int, group: int
    ) -> None:
        """Fills the record of ``page``, which no row reaches yet."""
        at = 2 * page
        self._words[at] = fingerprint
        self._words[at + 1] = offset | length << 32 | encoding << 48 | group << 56

    def copy_of_lengths(self, end: int) -> array[int]:
        """The column *length* of the ids below ``end``, whether they are free or not."""
        return self._region.copy_of_column("H", 6, 8, end)
