"""What the service needs of a transport, whichever it is."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from testbed.store.protocol import PAGE_SIZE, REQUEST, RESPONSE
from testbed.store.state import Life

if TYPE_CHECKING:
    from testbed.store.transport.native import RingLibrary

__all__ = [
    "BATCH",
    "Batch",
    "Channel",
    "Edge",
    "Listener",
    "NativeEnd",
    "Source",
    "Welcome",
]

BATCH = 16
"""Requests taken at once, however large the ring is: answers go out after as
many at the latest, and the memory for their payloads is bounded."""

Source = tuple[int, Callable[[], None]]
"""A file descriptor, and what to call when it is readable."""


def _buffer(size: int) -> mmap.mmap:
    return mmap.mmap(-1, max(size, PAGE_SIZE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Private copies of one batch; one of these serves every channel in turn.

    Request i, response i, and their payloads at ``i * 4096``.
    """

    requests: mmap.mmap = field(default_factory=lambda: _buffer(BATCH * REQUEST.size))
    payloads: mmap.mmap = field(default_factory=lambda: _buffer(BATCH * PAGE_SIZE))
    responses: mmap.mmap = field(default_factory=lambda: _buffer(BATCH * RESPONSE.size))
    loads: mmap.mmap = field(default_factory=lambda: _buffer(BATCH * PAGE_SIZE))

    @property
    def footprint_bytes(self) -> int:
        """Memory of the four buffers when every page of them was used."""
        return sum(map(len, (self.requests, self.payloads, self.responses, self.loads)))


class NativeEnd(NamedTuple):
    """A channel as the native loop sees it; the first three are addresses."""

    ring: int
    notify: int
    """``int notify(void *handle, uint32_t port)``: signals the frontend."""
    notify_handle: int
    port: int


class Channel(Protocol):
    """A ring and data pages shared with one connected frontend."""

    @property
    def nr_data_pages(self) -> int:
        """Data pages that requests may name."""

    def exchange(self, count: int, most: int) -> int:
        """Answers the last batch, of ``count`` requests, and takes up to ``most`` new ones.

        Returns how many lie in the batch now, payloads included. 0 means that
        there are none and an event will come with the next; but ``most`` 0
        only answers. Raises ``ProtocolViolation`` when the frontend's index is
        impossible.
        """

    def native(self) -> NativeEnd:
        """For the native loop, which exchanges batches itself."""

    def close(self) -> None:
        """Unmaps everything and lets go of the event channel. Never raises."""


class Welcome(NamedTuple):
    """What a frontend is told when it connects."""

    store_limit: int
    """STORE requests that are taken in all."""
    kept_pages: int
    """Keys that are held for this life of the domain."""


class Listener(Protocol):
    """What an edge tells the service; ``name`` is a configured domain's."""

    def connected(self, name: str, life: Life, channel: Channel) -> Welcome:
        """A channel is ready; what the domain held in another life is dropped.

        Raises ``TransportError`` when there is no place for its rows.
        """

    def ready(self, name: str) -> None:
        """The frontend may have sent something."""

    def disconnected(self, name: str, reason: str, *, keep: bool) -> None:
        """The channel is about to be closed; what the domain holds is kept or dropped."""

    def waiting(self) -> list[int]:
        """Ids of the domains whose pages are kept without a connection."""

    def forget(self, domid: int, reason: str) -> None:
        """Drop what is kept for domain ``domid``, which is not connected."""

    def event(self, name: str | None, event: str, detail: str) -> None:
        """Something worth a record happened."""


class Edge(Protocol):
    """Finds frontends, shakes hands with them, and tells a ``Listener``."""

    @property
    def library(self) -> RingLibrary:
        """The native piece that its channels use."""

    def start(self, listener: Listener) -> None:
        """Begins to look for the configured domains."""

    def sources(self) -> Iterable[Source]:
        """The file descriptors to wait for."""

    def events_fd(self) -> int | None:
        """Where ports that have fired are read, and written back to unmask them.

        None where events are not of that kind.
        """

    def disconnect(self, name: str, reason: str) -> None:
        """Ends ``name``'s connection (after a violation) and refuses a new one."""

    def drain(self) -> None:
        """Asks every frontend to take its pages back; no other is accepted."""

    def close(self) -> None:
        """Lets go of every frontend, which is told nothing: another store may go on."""
