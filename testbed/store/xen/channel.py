"""A connected frontend: its grants mapped, its event channel bound."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.protocol import MAX_DATA_PAGES
from testbed.store.transport.interface import Batch, NativeEnd
from testbed.store.transport.native import BackRing, RingLibrary
from testbed.store.xen.events import EventChannels
from testbed.store.xen.grants import GrantTable
from testbed.store.xen.offer import Offer

__all__ = ["XenChannel"]

log = logging.getLogger("store")


class XenChannel:
    """Maps what a frontend offered. See ``Channel`` for what it does then.

    All is unmapped before the port goes.
    """

    def __init__(
        self,
        library: RingLibrary,
        batch: Batch,
        grants: GrantTable,
        events: EventChannels,
        domid: int,
        offer: Offer,
    ) -> None:
        """Raises ``TransportError`` (nothing stays mapped) or ``ProtocolViolation``."""
        self.nr_data_pages = offer.nr_data_pages
        self._events = events
        order = len(offer.ring_references).bit_length() - 1
        with ExitStack() as stack:
            self.port = events.bind(domid, offer.event_channel)
            stack.callback(events.unbind, self.port)
            ring = grants.map_pages(domid, offer.ring_references, writable=True)
            stack.callback(grants.unmap, ring, len(offer.ring_references))
            references = self._directory(library, grants, domid, offer)
            data = grants.map_pages(domid, references, writable=True)
            stack.callback(grants.unmap, data, len(references))
            self._ring = BackRing(library, batch, ring, order, data, len(references))
            stack.callback(self._ring.close)
            self._stack = stack.pop_all()

    @staticmethod
    def _directory(library: RingLibrary, grants: GrantTable, domid: int, offer: Offer) -> list[int]:
        if not 0 < offer.nr_data_pages <= MAX_DATA_PAGES:
            raise ProtocolViolation(f"{offer.nr_data_pages} data pages")
        address = grants.map_pages(domid, [offer.directory_reference], writable=False)
        try:
            return library.read_words(address, offer.nr_data_pages)
        finally:
            grants.unmap(address, 1)

    def exchange(self, count: int, most: int) -> int:
        """See ``Channel.exchange``."""
        taken, notify = self._ring.exchange(count, most)
        if notify:
            self._events.notify(self.port)
        return taken

    def native(self) -> NativeEnd:
        """See ``Channel.native``."""
        return NativeEnd(self._ring.handle, *self._events.notifier, self.port)

    def close(self) -> None:
        """See ``Channel.close``: promptly, or the domain stays a zombie."""
        try:
            self._stack.close()
        except TransportError as error:
            log.warning("a channel was not closed cleanly: %s", error)
