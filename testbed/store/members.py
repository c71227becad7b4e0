"""Who refers to the pages of the table: one member a domain, with its counts.

How often a domain refers to each page is derived from its rows and lies in
memory only, a byte a page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from testbed.store.growth import room_for
from testbed.store.layout import MemberState, address_of

__all__ = ["Counts", "Member"]


class Counts:
    """Small numbers by page id: a byte each, and a dictionary for the few beyond."""

    __slots__ = ("_bytes", "_more", "moved")

    def __init__(self, other: Counts | None = None) -> None:
        """All 0, or a copy of ``other``."""
        self._bytes: bytearray = bytearray(other._bytes if other else b"")
        self._more: dict[int, int] = dict(other._more if other else {})
        self.moved: Callable[[bytearray], None] | None = None
        """Called when the bytes have got another place."""

    @property
    def metadata_bytes(self) -> int:
        """Memory that they take."""
        return sys.getsizeof(self._bytes) + sys.getsizeof(self._more)

    def __getitem__(self, page: int) -> int:
        count = self._bytes[page] if page < len(self._bytes) else 0
        return self._more[page] if count == _MANY else count

    def reserve(self, end: int) -> None:
        """Makes room for the page ids below ``end``, and some more."""
        counts = self._bytes
        if end > len(counts):
            counts.extend(bytes(room_for(end) - len(counts)))
            if self.moved:
                self.moved(counts)

    def add(self, page: int) -> int:
        """One more; how many there were."""
        self.reserve(page + 1)
        counts = self._bytes
        count = counts[page]
        if count < _MANY - 1:
            counts[page] = count + 1
            return count
        count = self._more.get(page, count)
        self._more[page] = count + 1
        counts[page] = _MANY
        return count

    def subtract(self, page: int) -> int:
        """One less; how many are left. ``KeyError`` when there is none."""
        counts = self._bytes
        count = counts[page] - 1 if page < len(counts) else -1
        if count < _MANY - 1:
            if count < 0:
                raise KeyError(page)
            counts[page] = count
            return count
        count = self._more[page] - 1
        if count < _MANY:
            del self._more[page]
            self._bytes[page] = count
        else:
            self._more[page] = count
        return count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        own, others = self._bytes.rstrip(b"\0"), other._bytes.rstrip(b"\0")
        return own == others and self._more == other._more

    __hash__ = None  # type: ignore[assignment]


_MANY = 255


class Member:
    """One domain that holds pages, in the table's eyes."""

    __slots__ = ("counts", "damaged", "group", "state")

    def __init__(self, group: int) -> None:
        """Holds nothing yet."""
        self.group = group
        self.state = MemberState(group=group)
        self.counts = Counts()
        """How many references this domain has to each page, by page id."""
        self.counts.moved = self._counts_moved
        self.damaged = 0
        """References whose page was lost."""

    @property
    def references(self) -> int:
        """Rows that refer to a page, lost ones included."""
        return int(self.state.references)

    @property
    def distinct_bytes(self) -> int:
        """Payload of the distinct pages that this domain holds."""
        return int(self.state.distinct_bytes)

    def count(self, page: int) -> int:
        """References to ``page``."""
        return self.counts[page]

    def _counts_moved(self, counts: bytearray) -> None:
        self.state.counts = address_of(counts)
        self.state.nr_counts = len(counts)
