"""The edge for tests: the same bytes, in memory of this process.

The frontend (a test's, or a benchmark's) works on the same mapping through
``native/front_ring.c``. Events are ``eventfd`` counters, one each way.
"""

from __future__ import annotations

import mmap
import os
import secrets
import select
from collections.abc import Iterable

from testbed.store.errors import ProtocolViolation
from testbed.store.layout import address_of
from testbed.store.protocol import MAX_DATA_PAGES, MAX_RING_ORDER, PAGE_SIZE
from testbed.store.state import Life
from testbed.store.transport.interface import Batch, Listener, NativeEnd, Source, Welcome
from testbed.store.transport.native import BackRing, RingLibrary

__all__ = ["InProcessChannel", "InProcessEdge", "SharedMemory"]


class SharedMemory:
    """What a domU would grant: a ring, data pages, and two event channels."""

    def __init__(self, nr_data_pages: int, ring_order: int = 0) -> None:
        """Raises ``ProtocolViolation`` for numbers that the protocol does not allow."""
        if not 0 < nr_data_pages <= MAX_DATA_PAGES:
            raise ProtocolViolation(f"{nr_data_pages} data pages, not 1 to {MAX_DATA_PAGES}")
        if not 0 <= ring_order <= MAX_RING_ORDER:
            raise ProtocolViolation(f"ring order {ring_order}, not 0 to {MAX_RING_ORDER}")
        self.nr_data_pages = nr_data_pages
        self.ring_order = ring_order
        self.data_offset = PAGE_SIZE << ring_order
        """Where the data pages begin in ``memory``, in bytes."""
        self.memory = mmap.mmap(-1, self.data_offset + nr_data_pages * PAGE_SIZE)
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self.to_store = os.eventfd(0, flags)
        self.to_frontend = os.eventfd(0, flags)

    @property
    def ring_address(self) -> int:
        """Address of the ring's first page; the others follow."""
        return address_of(self.memory)

    @property
    def data_address(self) -> int:
        """Address of the first data page; the others follow."""
        return address_of(self.memory) + self.data_offset

    def close(self) -> None:
        """Closes the events. The mapping goes with its last user."""
        os.close(self.to_store)
        os.close(self.to_frontend)


class InProcessChannel:
    """The store's end of a ``SharedMemory``."""

    def __init__(self, library: RingLibrary, batch: Batch, shared: SharedMemory) -> None:
        self._shared = shared
        self._library = library
        self._ring = BackRing(
            library,
            batch,
            shared.ring_address,
            shared.ring_order,
            shared.data_address,
            shared.nr_data_pages,
        )
        self.closed = False

    @property
    def nr_data_pages(self) -> int:
        """See ``Channel.nr_data_pages``."""
        return self._shared.nr_data_pages

    def exchange(self, count: int, most: int) -> int:
        """See ``Channel.exchange``."""
        taken, notify = self._ring.exchange(count, most)
        if notify:
            os.eventfd_write(self._shared.to_frontend, 1)
        return taken

    def native(self) -> NativeEnd:
        """See ``Channel.native``."""
        notify, event = self._library.notify_eventfd, self._shared.to_frontend
        return NativeEnd(self._ring.handle, notify, event, 0)

    def close(self) -> None:
        """See ``Channel.close``."""
        self._ring.close()
        self.closed = True


class InProcessEdge:
    """Connects a ``SharedMemory`` under a configured domain's name."""

    def __init__(self, library: RingLibrary, batch: Batch) -> None:
        self.library = library
        self._batch = batch
        self._listener: Listener | None = None
        self._channels: dict[str, tuple[InProcessChannel, SharedMemory]] = {}
        self._lives: dict[str, Life] = {}
        self._events = select.epoll()
        self._names: dict[int, str] = {}
        self.disconnections: list[tuple[str, str]] = []
        """Name and reason of every connection that ended."""

    def start(self, listener: Listener) -> None:
        """See ``Edge.start``."""
        self._listener = listener

    def sources(self) -> Iterable[Source]:
        """See ``Edge.sources``."""
        return ((self._events.fileno(), self._wake),)

    def events_fd(self) -> int | None:
        """See ``Edge.events_fd``: each frontend has an event of its own."""
        return None

    def attach(self, name: str, shared: SharedMemory, life: Life | None = None) -> Welcome:
        """Connects a frontend, which has initialised its ring, as ``life`` or as a new one."""
        assert self._listener is not None
        if life is None:
            life = Life(1 + sum(map(ord, name)) % 1000, secrets.randbits(64))
        channel = InProcessChannel(self.library, self._batch, shared)
        self._channels[name] = channel, shared
        self._names[shared.to_store] = name
        self._events.register(shared.to_store, select.EPOLLIN)
        self._lives[name] = life
        return self._listener.connected(name, life, channel)

    def destroy(self, name: str, reason: str = "the domain is gone") -> None:
        """What ``xl destroy`` does to a frontend."""
        self.disconnect(name, reason)

    def lose(self, name: str) -> Life:
        """The frontend starts over: its pages are kept for whom this returns."""
        self._end(name, "the frontend starts over", keep=True)
        return self._lives[name]

    def drain(self) -> None:
        """See ``Edge.drain``: there is no state to tell a frontend."""

    def disconnect(self, name: str, reason: str) -> None:
        """See ``Edge.disconnect``."""
        self._end(name, reason, keep=False)

    def _end(self, name: str, reason: str, *, keep: bool) -> None:
        assert self._listener is not None
        channel, shared = self._channels.pop(name)
        self._events.unregister(shared.to_store)
        self._listener.disconnected(name, reason, keep=keep)
        channel.close()
        self.disconnections.append((name, reason))

    def close(self) -> None:
        """See ``Edge.close``."""
        for name in list(self._channels):
            self._end(name, "the store stops", keep=True)
        self._events.close()

    def _wake(self) -> None:
        assert self._listener is not None
        for fd, _ in self._events.poll(0):
            os.eventfd_read(fd)
            self._listener.ready(self._names[fd])
