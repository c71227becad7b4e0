"""The ring, as the native piece would not write it.

There are no barriers here. Under emulation on x86 every write is seen in its
order; where it is not, the frontend sees one lie more.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from testbed.store.protocol import PAGE_SIZE, REQUEST, RING_HEADER_BYTES, ring_entries
from testbed.store.xen.grants import GrantTable

__all__ = ["Ring", "WatchedGrants"]

_ENTRY_BYTES = REQUEST.size
_REQ_PROD, _REQ_EVENT, _RSP_PROD, _RSP_EVENT = range(0, 16, 4)


def _memory(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")


class Ring:
    """The store's end of one ring and its data pages, which must stay mapped."""

    def __init__(self, ring: int, order: int, data: int, nr_data_pages: int) -> None:
        """``ring`` and ``data``: addresses of the first page of each."""
        self.nr_data_pages = nr_data_pages
        self.entries = ring_entries(order)
        self._shared = _memory(ring, PAGE_SIZE << order)
        self._data = _memory(data, PAGE_SIZE * nr_data_pages)
        words = (_REQ_PROD, _REQ_EVENT, _RSP_PROD, _RSP_EVENT)
        self._words = {word: ctypes.c_uint32.from_address(ring + word) for word in words}
        self.consumed = 0
        """Requests taken so far."""
        self.produced = 0
        """Responses written so far."""

    def take(self, most: int) -> list[bytes]:
        """Up to ``most`` requests; none means that an event comes with the next.

        A frontend that has started over is gone from this ring: its index means nothing.
        """
        for _ in range(2):
            waiting = self._words[_REQ_PROD].value - self.consumed & 0xFFFF_FFFF
            if waiting:
                break
            self._words[_REQ_EVENT].value = self.consumed + 1 & 0xFFFF_FFFF
        count = min(waiting, most) if waiting <= self.entries else 0
        found = [bytes(self._entry(self.consumed + n)) for n in range(count)]
        self.consumed = self.consumed + count & 0xFFFF_FFFF
        return found

    def put(self, response: bytes) -> None:
        """Writes a response; ``publish`` shows it."""
        self._entry(self.produced)[:] = response
        self.produced = self.produced + 1 & 0xFFFF_FFFF

    def publish(self, ahead: int = 0) -> None:
        """Shows what was written, and ``ahead`` entries more that were not."""
        self._words[_RSP_PROD].value = self.produced + ahead & 0xFFFF_FFFF

    def set_event_indices(self, value: int) -> None:
        """Both sides' wishes for the next event."""
        self._words[_REQ_EVENT].value = value
        self._words[_RSP_EVENT].value = value

    def scribble_entries(self, noise: bytes) -> None:
        """Overwrites entries from the first on, whoever they belong to."""
        self._shared[RING_HEADER_BYTES : RING_HEADER_BYTES + len(noise)] = noise

    def read_page(self, number: int, length: int) -> bytes:
        """The beginning of a data page."""
        start = number * PAGE_SIZE
        return bytes(self._data[start : start + length])

    def write_page(self, number: int, content: Sequence[int], at: int = 0) -> None:
        """Overwrites part of a data page."""
        start = number * PAGE_SIZE + at
        self._data[start : start + len(content)] = bytes(content)

    def _entry(self, index: int) -> memoryview:
        start = RING_HEADER_BYTES + index % self.entries * _ENTRY_BYTES
        return self._shared[start : start + _ENTRY_BYTES]


class WatchedGrants:
    """``GrantTable`` that tells where each domain's ring and data pages were mapped."""

    def __init__(self, grants: GrantTable) -> None:
        self._grants = grants
        self._writable: dict[int, list[tuple[int, int]]] = {}

    def ring_of(self, domid: int) -> Ring:
        """The ring that ``domid`` offered last: its pages are mapped before the data pages."""
        (ring, ring_pages), (data, data_pages) = self._writable[domid][-2:]
        return Ring(ring, ring_pages.bit_length() - 1, data, data_pages)

    def map_pages(self, domid: int, references: Sequence[int], *, writable: bool) -> int:
        """See ``GrantTable.map_pages``."""
        address = self._grants.map_pages(domid, references, writable=writable)
        if writable:
            self._writable.setdefault(domid, []).append((address, len(references)))
        return address

    def unmap(self, address: int, pages: int) -> None:
        """See ``GrantTable.unmap``."""
        self._grants.unmap(address, pages)

    def close(self) -> None:
        """See ``GrantTable.close``."""
        self._grants.close()
