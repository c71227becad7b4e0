"""The store itself: connections over one table, driven by an edge's events."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from functools import partial
from typing import Any

from testbed.store.arena import Arena, ArenaFull
from testbed.store.config import StoreConfig
from testbed.store.connection import Connection
from testbed.store.dispatcher import Dispatcher, Mark, RequestCounters
from testbed.store.domain import Domain
from testbed.store.errors import ProtocolViolation
from testbed.store.figures import Peak, ResidentSetSize, mark_fields, table_figures
from testbed.store.records import Record, RecordSink
from testbed.store.table import SharingTable
from testbed.store.transport.interface import BATCH, Batch, Channel, Edge

__all__ = ["Store"]

_ROUNDS = 8
"""Batches of one domain before the others get their turn."""

log = logging.getLogger("store")


class Store:
    """Implements ``Listener``: what happens is written down, logged and served."""

    def __init__(self, config: StoreConfig, arena: Arena, batch: Batch, sink: RecordSink) -> None:
        """The caller owns ``arena`` and ``sink``; ``use`` names the edge."""
        self.config = config
        self.table = SharingTable(arena)
        self.connections: dict[str, Connection] = {}
        self.peak = Peak()
        self._batch = batch
        self._sink = sink
        self._edge: Edge | None = None
        self._pending: dict[str, None] = {}
        self._past = RequestCounters()
        self._rss = ResidentSetSize()
        self.busy_seconds = 0.0

    def use(self, edge: Edge) -> None:
        """Starts ``edge`` with this store as its listener."""
        self._edge = edge
        edge.start(self)

    def close(self) -> None:
        """Lets go of what the store opened itself."""
        self._rss.close()

    # What the edge tells

    def connected(self, name: str, channel: Channel) -> int:
        """See ``Listener.connected``."""
        settings = self.config.domain(name)
        domain = Domain(name, self.table, settings.group, settings.quota_bytes)
        dispatcher = Dispatcher(domain, channel.nr_data_pages, partial(self._marked, name))
        self.connections[name] = Connection(domain, channel, dispatcher)
        limit = domain.store_limit
        detail = f"{channel.nr_data_pages} data pages, store limit {limit}, group {settings.group}"
        self.event(name, "connected", detail)
        return limit

    def disconnected(self, name: str, reason: str) -> None:
        """See ``Listener.disconnected``."""
        connection = self.connections.pop(name, None)
        if connection is None:
            return
        self._pending.pop(name, None)
        dropped = connection.domain.leave()
        for counter, value in asdict(connection.counters).items():
            setattr(self._past, counter, getattr(self._past, counter) + value)
        self.event(name, "disconnected", f"{reason}; {dropped} references dropped")

    def event(self, name: str | None, event: str, detail: str) -> None:
        """See ``Listener.event``."""
        log.info("%s: %s: %s", name or "store", event, detail)
        self._sink.write("event", {"domain": name, "event": event, "detail": detail[:400]})

    def ready(self, name: str) -> None:
        """Serves ``name`` until its ring is empty or its turn is over."""
        connection = self.connections.get(name)
        if connection is None:
            return
        start = time.monotonic()
        try:
            more = self._serve(connection)
        except (ProtocolViolation, ArenaFull) as error:
            assert self._edge is not None
            self.event(name, "violation", str(error))
            self._edge.disconnect(name, f"violation: {error}")
        else:
            if more:
                self._pending[name] = None
            else:
                self._pending.pop(name, None)
        self.busy_seconds += time.monotonic() - start

    # What the loop asks

    def continue_pending(self) -> bool:
        """Gives every domain whose turn was over another one; whether any still waits."""
        for name in list(self._pending):
            self.ready(name)
        return bool(self._pending)

    def maintain(self) -> None:
        """What is done when there is nothing to do."""
        self.table.maintain()

    # What the control socket asks

    def status(self) -> Record:
        """Which domains are connected, and whether the books close in themselves."""
        return {
            "connected": sorted(self.connections),
            "configured": [domain.name for domain in self.config.domains],
            "references": {n: c.domain.member.references for n, c in self.connections.items()},
            "table_bytes": self.table.payload_bytes,
            "arena_bytes": self.table.arena.payload_bytes,
            "marks_seen": sorted(n for n, c in self.connections.items() if c.mark is not None),
        }

    def stats(self) -> Record:
        """Every figure that the store keeps."""
        return {
            "service": self._service_figures(),
            "table": table_figures(self.connections, self.table, self._batch.footprint_bytes),
            "arena_compactions": self.table.arena.compactions,
            "records_written": self._sink.sequence - self._sink.dropped,
            "records_dropped": self._sink.dropped,
            "domains": {name: self._domain_stats(c) for name, c in self.connections.items()},
            "past_connections": asdict(self._past),
        }

    def marks(self) -> Record:
        """The last MARK of every connected domain, null before its first."""
        return {name: connection.mark for name, connection in self.connections.items()}

    def verify(self) -> Record:
        """Recomputes every tally from the rows and reads every page."""
        problems = self.table.problems()
        for connection in self.connections.values():
            problems += connection.domain.problems()
        return {"ok": not problems, "entries": len(self.table), "problems": problems[:50]}

    def reset_peak(self) -> Record:
        """Forgets the peak."""
        self.peak = Peak()
        return {"ok": True}

    # Inside

    def _serve(self, connection: Connection) -> bool:
        exchange, handle, batch = (
            connection.channel.exchange,
            connection.dispatcher.handle,
            self._batch,
        )
        count = exchange(0, BATCH)
        for _ in range(_ROUNDS):
            if not count:
                return False
            handle(batch, count)
            count = exchange(count, BATCH)
        if count:
            handle(batch, count)
            exchange(count, 0)
        return True

    def _marked(self, name: str, mark: Mark) -> None:
        connection = self.connections[name]
        connection.mark = mark
        fields = mark_fields(
            connection,
            self.connections,
            self.table,
            self._service_figures(),
            self._batch.footprint_bytes,
        )
        self.peak.offer(self._sink.write("mark", fields), self.table)

    def _service_figures(self) -> Record:
        counters = [self._past, *(c.counters for c in self.connections.values())]
        return {
            "requests": sum(c.requests for c in counters),
            "stores": sum(c.stores for c in counters),
            "loads": sum(c.loads for c in counters),
            "shared_hits": self.table.shared_hits,
            "busy_seconds": round(self.busy_seconds, 6),
            "rss_bytes": self._rss.read(),
        }

    def _domain_stats(self, connection: Connection) -> dict[str, Any]:
        domain = connection.domain
        return {
            "quota_bytes": domain.quota_bytes,
            "charged_bytes": domain.charged_bytes,
            "store_limit": domain.store_limit,
            "stores_processed": domain.stores_processed,
            "references": domain.member.references,
            "distinct_bytes": domain.member.distinct_bytes,
            "requests": asdict(connection.counters),
        }
