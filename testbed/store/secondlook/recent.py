"""Which pages were used lately: a byte a page, which the request loop sets.

=========== ================================================================
``USED``    stored, shared or read since the pages last aged
``WARM``    not since then, but before
``COLD``    used longer ago: it gets a quick look
``LOOKED``  has got it since the pages last aged
``COLDER``  has got it before, and was not used since: it gets a thorough look
``SEEN``    has got that, too: nothing more is to be done until it is used
=========== ================================================================

So a page is cold when it was not used for one to two times the time after
which pages age, and colder after two to three.
"""

from __future__ import annotations

from testbed.store.layout import TableState, address_of

__all__ = ["Recent"]

COLD, WARM, USED, LOOKED, COLDER, SEEN = range(6)
_AGED = bytes((COLD, COLD, WARM, COLDER, COLDER, SEEN)).ljust(256, b"\0")


class Recent:
    """The bytes, by page id."""

    def __init__(self, state: TableState, capacity: int) -> None:
        """Room for the page ids below ``capacity``; memory is used as they are."""
        self._state = state
        self._bytes = bytearray()
        self._capacity = capacity
        self.grow(1)

    @property
    def metadata_bytes(self) -> int:
        """Memory that it takes."""
        return len(self._bytes)

    def close(self) -> None:
        """The request loop notes no pages any more."""
        self._state.nr_recent = 0
        self._state.recent = 0

    def grow(self, end: int) -> None:
        """Room for the page ids below ``end``, and some more; all new ones count as used."""
        if end > len(self._bytes):
            size = min(self._capacity, end + 1024 + end // 8)
            # one object, whose memory the request loop writes to, until it is replaced
            self._bytes = self._bytes + bytes((USED,)) * (size - len(self._bytes))
            self._state.recent = address_of(self._bytes)
            self._state.nr_recent = len(self._bytes)

    def use(self, page: int) -> None:
        """``page`` is stored, shared or read."""
        if page < len(self._bytes):
            self._bytes[page] = USED

    def age(self) -> None:
        """A time has passed."""
        self._bytes[:] = self._bytes.translate(_AGED)

    def next_cold(self, start: int, end: int) -> int:
        """The first cold page from ``start`` on and below ``end``; 0 when there is none."""
        return max(self._bytes.find(COLD, start, end), 0)

    def next_colder(self, start: int, end: int) -> int:
        """The same for a page that has got its quick look some time ago."""
        return max(self._bytes.find(COLDER, start, end), 0)

    def looked(self, page: int) -> None:
        """``page`` got its quick look."""
        self._bytes[page] = LOOKED

    def seen(self, page: int) -> None:
        """``page`` got its thorough look, or needs none."""
        self._bytes[page] = SEEN
