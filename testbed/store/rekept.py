"""What is known of the pages that are not kept as they were sent.

All of it is derived: from the entries, and from what is kept of a difference.
Memory is used only once there is such a page.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass

from testbed.store.forms import Form
from testbed.store.growth import room_for
from testbed.store.members import Counts

__all__ = ["FormTotals", "Rekept"]


@dataclass(slots=True)
class FormTotals:
    """The pages that are kept in one form."""

    entries: int = 0
    received_bytes: int = 0
    """Of payload, as they were sent."""
    kept_bytes: int = 0


class Rekept:
    """By page id: kept length and base; and how many differences each base has."""

    def __init__(self) -> None:
        """All pages are kept as they were sent."""
        self.bases = Counts()
        """Differences from each page."""
        self.totals: dict[Form, FormTotals] = {
            form: FormTotals() for form in Form if form != Form.RECEIVED
        }
        self._kept = array("H")
        self._bases = array("I")

    @property
    def metadata_bytes(self) -> int:
        """Memory that this takes."""
        arrays = sys.getsizeof(self._kept) + sys.getsizeof(self._bases)
        return arrays + self.bases.metadata_bytes

    @property
    def saved_bytes(self) -> int:
        """Of payload: received less kept."""
        return sum(one.received_bytes - one.kept_bytes for one in self.totals.values())

    def base(self, page: int) -> int:
        """Whose difference ``page`` is kept as; 0 when as nobody's."""
        return self._bases[page] if page < len(self._bases) else 0

    def kept_length(self, page: int) -> int:
        """Bytes that are kept of ``page``; 0 when it is kept as it was sent."""
        return self._kept[page] if page < len(self._kept) else 0

    def note(self, page: int, form: Form, received: int, kept: int) -> None:
        """``page``, of ``received`` bytes, is kept in ``kept`` bytes now."""
        if page >= len(self._kept):
            more = room_for(page + 1) - len(self._kept)
            self._kept.extend(array("H", bytes(2 * more)))
            self._bases.extend(array("I", bytes(4 * more)))
        self._kept[page] = kept
        totals = self.totals[form]
        totals.entries += 1
        totals.received_bytes += received
        totals.kept_bytes += kept

    def found_base(self, page: int, base: int) -> None:
        """``page``, which was noted, is a difference from ``base``."""
        self._bases[page] = base

    def forget(self, page: int, form: Form, received: int) -> tuple[int, int]:
        """``page`` goes, or is kept otherwise; how many bytes were kept, and its base."""
        kept, base = self._kept[page], self._bases[page]
        self._kept[page] = self._bases[page] = 0
        totals = self.totals[form]
        totals.entries -= 1
        totals.received_bytes -= received
        totals.kept_bytes -= kept
        return kept, base

    def copies(self) -> tuple[array[int], array[int], Counts]:
        """Kept lengths, bases and numbers of differences as they are now."""
        return self._kept[:], self._bases[:], Counts(self.bases)
