"""Sharing page entries: 16 bytes a page, by page id, in a region.

::

    | fingerprint u64 | offset u32 | length u16 | kind u8 | group u8 |

``fingerprint`` and ``length`` are those of the payload as it was sent, whatever
is kept of it. ``kind`` has its encoding in the low four bits, and in the high
ones the form in which it is kept (``forms.py``). ``offset`` is the block's in
the arena. A record means something only while a
row reaches it, and is overwritten only when none does (a free one by the chain
of the free ones, see ``ids.py``); so it need not be cleared, and may be torn
while it is written. A block that moves changes
``offset`` alone, in one store; a page that is kept in another form changes
``offset`` and ``kind`` together, in one store.
"""

from __future__ import annotations

from array import array

from testbed.store.forms import Form
from testbed.store.ids import Ids
from testbed.store.region import Region

__all__ = ["DAMAGED", "ENCODING_BITS", "Entries", "kind"]

DAMAGED = 0xFFFFFFFF
"""The page id of a row whose page was lost; never an entry's."""

ENCODING_BITS = 4


def kind(form: int, encoding: int) -> int:
    """Form and encoding as one byte."""
    return form << ENCODING_BITS | encoding


class Entries:
    """The records, as columns, and which of them are free."""

    __slots__ = (
        "_region",
        "_words",
        "fingerprints",
        "groups",
        "ids",
        "kinds",
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
        self.kinds = region.column("B", 14, 16)
        self.groups = region.column("B", 15, 16)

    def write(
        self, page: int, fingerprint: int, offset: int, length: int, encoding: int, group: int
    ) -> None:
        """Fills the record of ``page``, which no row reaches yet."""
        at = 2 * page
        self._words[at] = fingerprint
        self._words[at + 1] = offset | length << 32 | encoding << 48 | group << 56

    def rekeep(self, page: int, offset: int, kind: int) -> None:
        """From here on ``page`` is kept at ``offset``, as ``kind`` says."""
        at = 2 * page + 1
        kept = self._words[at] & (0xFFFF << 32 | 0xFF << 56)
        self._words[at] = kept | offset | kind << 48

    def form(self, page: int) -> int:
        """How ``page`` is kept, see ``forms.py``."""
        return self.kinds[page] >> ENCODING_BITS

    def has_base(self, page: int) -> bool:
        """Whether another entry is needed to make ``page``; what is damaged may say so, too."""
        return self.form(page) >= Form.TWIN

    def encoding(self, page: int) -> int:
        """Of the payload as it was sent."""
        return self.kinds[page] & (1 << ENCODING_BITS) - 1

    def copy_of_kinds(self, end: int) -> array[int]:
        """The column *kind* of the ids below ``end``, whether they are free or not."""
        return self._region.copy_of_column("B", 14, 16, end)

    def copy_of_lengths(self, end: int) -> array[int]:
        """The column *length* of the ids below ``end``, whether they are free or not."""
        return self._region.copy_of_column("H", 6, 8, end)
