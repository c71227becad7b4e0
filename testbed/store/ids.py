"""Which records of a region are free: numbers from 1 on, 16 bytes a record.

The free ones are chained through their own first word, the last that became
free first, so that they take no memory. The chain is derived: a store that
starts again makes it anew from what is reached (``recover``). Record 0 is
none.
"""

from __future__ import annotations

from testbed.store.arena import ArenaFull
from testbed.store.layout import IdsState
from testbed.store.region import PAGE, Region, pages

__all__ = ["RECORD_BYTES", "Ids", "records_size"]

RECORD_BYTES = 16


def records_size(records_at_most: int) -> int:
    """Bytes of the region for so many records."""
    return pages((records_at_most + 1) * RECORD_BYTES)


class Ids:
    """The free and used record numbers of one region."""

    __slots__ = ("_links", "_region", "state")

    def __init__(self, region: Region) -> None:
        """All are free; see ``recover``."""
        self._region = region
        self._links = region.column("Q", 0, 2)
        self.state = IdsState(
            records=region.address, end=1, free=0, capacity=region.size // RECORD_BYTES
        )

    @property
    def end(self) -> int:
        """One more than the largest number in use."""
        return int(self.state.end)

    @property
    def capacity(self) -> int:
        """Numbers are less than this."""
        return int(self.state.capacity)

    @property
    def found(self) -> int:
        """Records below this may have been written in a region that was found."""
        return min(self._region.data_end // RECORD_BYTES, self.capacity)

    @property
    def reserved_bytes(self) -> int:
        """Memory of the records, in whole pages."""
        return pages(self.end * RECORD_BYTES)

    def take(self) -> int:
        """A free number; ``ArenaFull`` when there is none (more than were promised)."""
        state = self.state
        ident = int(state.free)
        if ident:
            state.free = self._links[ident]
            return ident
        ident = int(state.end)
        if ident >= state.capacity:
            raise ArenaFull("no record is free")
        state.end = ident + 1
        return ident

    def free(self, ident: int) -> None:
        """``ident`` may be taken again: nothing reaches its record any more."""
        self._links[ident] = self.state.free
        self.state.free = ident

    def forget(self, first: int = 0) -> None:
        """All are free; the memory behind record ``first`` is given back."""
        if self.end * RECORD_BYTES > PAGE:
            self._region.discard(first * RECORD_BYTES, self._region.size)
        self.state.free = 0
        self.state.end = 1

    def recover(self, used: bytearray) -> None:
        """Takes over the numbers whose flag in ``used`` is set; the others are free."""
        self.state.end = used.rfind(1) + 1 or 1
        self.state.free = 0
        for ident in range(self.end - 1, 0, -1):
            if not used[ident]:
                self.free(ident)
        self._region.discard(self.end * RECORD_BYTES, self._region.size)
