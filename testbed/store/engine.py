"""Who answers requests: Python alone, or the native loop with Python for what it leaves.

``PythonEngine`` is the reference. ``NativeEngine`` answers what is asked all
the time, STORE, LOAD and INVALIDATE that are in order, in ``native/``, on the
very same memory, and waits for domains' events there too; MARKs, everything
that is wrong, and whatever makes a part of the table grow, shrink or move is
left to the same Python code. Both give the same answers and the same table.
"""

from __future__ import annotations

import ctypes
import math
import selectors
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from testbed.store.connection import Connection
from testbed.store.errors import ProtocolViolation
from testbed.store.layout import LoopState
from testbed.store.transport.interface import BATCH, Batch
from testbed.store.transport.native import Outcome, RingLibrary

__all__ = ["Engine", "NativeEngine", "PythonEngine", "Ready"]

ROUNDS = 64 // BATCH
"""Batches of one domain before the others get their turn."""
TURN_SECONDS = 0.1
"""After so long its turn is over too: one INVALIDATE may drop 256 keys."""

Ready = list[tuple[selectors.SelectorKey, int]]
Turn = Callable[[Connection], None]


class Engine(Protocol):
    """Serves connections on behalf of a store."""

    @property
    def busy_seconds(self) -> float:
        """Time that was spent on requests outside of ``serve``."""

    def attach(self, connection: Connection) -> None:
        """``connection`` may be served from now on."""

    def detach(self, connection: Connection) -> None:
        """``connection`` will not be served any more."""

    def serve(self, connection: Connection) -> bool:
        """Gives ``connection`` a turn; whether it has more to ask.

        Raises ``ProtocolViolation``, and what the table raises.
        """

    def select(
        self, selector: selectors.EpollSelector, events_fd: int | None, timeout: float
    ) -> tuple[Ready, bool]:
        """Waits up to ``timeout`` seconds; what is ready, and whether anything happened at all.

        ``events_fd`` is the one with which an edge's event channels are registered.
        """


class PythonEngine:
    """Every request is answered by its connection's dispatcher."""

    busy_seconds = 0.0

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def attach(self, connection: Connection) -> None:
        """See ``Engine.attach``."""

    def detach(self, connection: Connection) -> None:
        """See ``Engine.detach``."""

    def serve(self, connection: Connection) -> bool:
        """See ``Engine.serve``."""
        exchange, batch = connection.channel.exchange, self._batch
        handle = connection.dispatcher.handle
        end = time.monotonic() + TURN_SECONDS
        count = exchange(0, BATCH)
        for _ in range(ROUNDS):
            if not count:
                return False
            handle(batch, count)
            if time.monotonic() > end:
                exchange(count, 0)
                return True
            count = exchange(count, BATCH)
        if count:
            handle(batch, count)
            exchange(count, 0)
        return True

    def select(
        self, selector: selectors.EpollSelector, events_fd: int | None, timeout: float
    ) -> tuple[Ready, bool]:
        """See ``Engine.select``."""
        del events_fd
        ready = selector.select(timeout)
        return ready, bool(ready)


class NativeEngine:
    """The loop in ``native/loop.c`` answers what it can."""

    def __init__(self, library: RingLibrary, batch: Batch, turn: Turn) -> None:
        """``turn`` is called for a connection in whose turn something is for Python."""
        self._library = library
        self._batch = batch
        self._turn = turn
        self._connections: list[Connection] = []
        self._loop = LoopState(wait_fd=-1, events_fd=-1)
        self._addresses: ctypes.Array[ctypes.c_uint64]
        self.asides = 0
        """Requests that were left to Python."""
        self._list()

    @property
    def busy_seconds(self) -> float:
        """See ``Engine.busy_seconds``."""
        return float(self._loop.busy_nanoseconds) / 1e9

    def attach(self, connection: Connection) -> None:
        """See ``Engine.attach``."""
        state, end = connection.state, connection.channel.native()
        state.ring, state.notify, state.notify_handle, state.port = end
        self._connections.append(connection)
        self._list()

    def detach(self, connection: Connection) -> None:
        """See ``Engine.detach``."""
        self._connections.remove(connection)
        self._list()

    def serve(self, connection: Connection) -> bool:
        """See ``Engine.serve``."""
        state, batch = connection.state, self._batch
        end = time.monotonic_ns() + int(TURN_SECONDS * 1e9)
        if not state.taken:
            state.rounds = ROUNDS
        while (outcome := self._library.serve(state, end)) == Outcome.ASIDE:
            at = state.handled
            done = state.key, state.dropped
            state.key = state.dropped = 0
            connection.dispatcher.handle_one(batch, at, done)
            state.handled = at + 1
            self.asides += 1
        if outcome == Outcome.VIOLATION:
            raise ProtocolViolation("the ring's request index is impossible")
        return bool(outcome == Outcome.MORE)

    def select(
        self, selector: selectors.EpollSelector, events_fd: int | None, timeout: float
    ) -> tuple[Ready, bool]:
        """See ``Engine.select``."""
        if events_fd is None:
            ready = selector.select(timeout)
            return ready, bool(ready)
        loop = self._loop
        loop.wait_fd, loop.events_fd = selector.fileno(), events_fd
        outcome = self._library.wait(loop, math.ceil(timeout * 1000))
        if outcome == Outcome.SERVED:
            return [], False
        if outcome in (Outcome.ASIDE, Outcome.VIOLATION):
            self._turn(self._connections[loop.current])
        return selector.select(0), True

    def _list(self) -> None:
        states: Iterable[int] = [ctypes.addressof(c.state) for c in self._connections]
        self._addresses = (ctypes.c_uint64 * len(self._connections))(*states)
        self._loop.connections = ctypes.addressof(self._addresses)
        self._loop.nr_connections = len(self._connections)
