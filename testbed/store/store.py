"""The store itself: connections over one table, driven by an edge's events."""

from __future__ import annotations

import logging
import time
from functools import partial
from selectors import EpollSelector
from typing import Any

from testbed.store.arena import ArenaFull
from testbed.store.config import StoreConfig
from testbed.store.connection import Connection
from testbed.store.dispatcher import Mark
from testbed.store.domain import Domain
from testbed.store.engine import Engine, NativeEngine, PythonEngine, Ready
from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.figures import Peak, ResidentSetSize, mark_fields, memory, table_figures
from testbed.store.layout import RequestCounters
from testbed.store.records import Record, RecordSink
from testbed.store.recovery import Recovered
from testbed.store.secondlook.look import SecondLook
from testbed.store.secondlook.twins import NativeTwins
from testbed.store.state import Life
from testbed.store.table import SharingTable
from testbed.store.transport.interface import Batch, Channel, Edge, Welcome
from testbed.store.verification import Slices, verification

__all__ = ["Store"]

_MOVES_BUSY, _MOVES_IDLE = 32, 64
"""Blocks moved at most between two turns."""

log = logging.getLogger("store")


class Store:
    """Implements ``Listener``: what happens is written down, logged and served."""

    def __init__(
        self,
        config: StoreConfig,
        table: SharingTable,
        recovered: Recovered,
        batch: Batch,
        sink: RecordSink,
    ) -> None:
        """The caller owns the table's state and ``sink``; ``use`` names the edge."""
        self.config = config
        self.table = table
        self.domains: dict[Life, Domain] = dict(recovered)
        """Everyone who holds pages, connected or not."""
        self.recovered_damaged = recovered.damaged
        """Rows that were found without their page when the store started."""
        self.connections: dict[str, Connection] = {}
        self.draining = False
        self.peak = Peak()
        self._batch = batch
        self._sink = sink
        self._edge: Edge | None = None
        self._engine: Engine = PythonEngine(batch)
        self._past = RequestCounters()
        self._rss = ResidentSetSize()
        self._look = SecondLook(table, config.second_look) if config.second_look else None
        self._busy_seconds = 0.0

    def use(self, edge: Edge) -> None:
        """Starts ``edge`` with this store as its listener."""
        self._edge = edge
        if self.config.engine == "native":
            self._engine = NativeEngine(edge.library, self._batch, self._turn)
            self.table.rebuilder.twins = NativeTwins(edge.library.path)
        for domain in self.domains.values():
            detail = f"{len(domain)} pages, {domain.member.damaged} damaged"
            self.event(None, "recovered", f"{domain.name}: {detail}")
        edge.start(self)

    def close(self) -> None:
        """Lets go of what the store opened itself; what it holds stays in the files."""
        self._rss.close()
        for domain in self.domains.values():
            domain.rows.close()
        self.domains.clear()

    # What the edge tells

    def connected(self, name: str, life: Life, channel: Channel) -> Welcome:
        """See ``Listener.connected``."""
        settings = self.config.domain(name)
        group = self.table.state.group(settings.group)
        for other, domain in list(self.domains.items()):
            if other.domid == life.domid and (other != life or domain.member.group != group):
                self._drop(domain, f"domain {life.domid} is another one now")
        found = self.domains.get(life)
        if found is None:
            try:
                rows = self.table.state.make_rows(life, group)
            except OSError as error:
                raise TransportError(f"no file for the rows of {name}: {error}") from error
            found = self.domains[life] = Domain(name, life, self.table, rows)
        found.welcome(name, settings.quota_bytes)
        if self.draining:
            found.freeze(0)
        connection = Connection(name, found, channel, partial(self._marked, name))
        self.connections[name] = connection
        self._engine.attach(connection)
        welcome = Welcome(found.store_limit, len(found))
        detail = (
            f"{channel.nr_data_pages} data pages, store limit {welcome.store_limit}, "
            f"{welcome.kept_pages} pages kept, group {settings.group}"
        )
        self.event(name, "connected", detail)
        return welcome

    def disconnected(self, name: str, reason: str, *, keep: bool) -> None:
        """See ``Listener.disconnected``."""
        connection = self.connections.pop(name, None)
        if connection is None:
            return
        self._engine.detach(connection)
        domain = connection.domain
        count = len(domain) if keep else self._leave(domain)
        self._past.add(connection.counters)
        what = "kept" if keep else "dropped"
        self.event(name, "disconnected", f"{reason}; {count} references {what}")

    def waiting(self) -> list[int]:
        """See ``Listener.waiting``."""
        connected = {connection.domain.life for connection in self.connections.values()}
        return sorted({life.domid for life in self.domains if life not in connected})

    def forget(self, domid: int, reason: str) -> None:
        """See ``Listener.forget``."""
        if domid in self.waiting():
            for life, domain in list(self.domains.items()):
                if life.domid == domid:
                    self._drop(domain, reason)

    def event(self, name: str | None, event: str, detail: str) -> None:
        """See ``Listener.event``."""
        log.info("%s: %s: %s", name or "store", event, detail)
        self._sink.write("event", {"domain": name, "event": event, "detail": detail[:400]})

    def ready(self, name: str) -> None:
        """Serves ``name`` until its ring is empty or its turn is over.

        One whose last turn was cut short waits for its next: events that it
        sends meanwhile gain it nothing.
        """
        connection = self.connections.get(name)
        if connection is not None and not connection.state.ready:
            self._turn(connection)

    def _turn(self, connection: Connection) -> None:
        start = time.monotonic()
        connection.state.ready = 0
        try:
            connection.state.ready = self._engine.serve(connection)
        except (ProtocolViolation, ArenaFull) as error:
            assert self._edge is not None
            self.event(connection.name, "violation", str(error))
            self._edge.disconnect(connection.name, f"violation: {error}")
        self._busy_seconds += time.monotonic() - start

    # What the loop asks

    def continue_pending(self) -> bool:
        """Gives every domain whose turn was over another one; whether any still waits."""
        waiting = [c for c in self.connections.values() if c.state.ready]
        for connection in waiting:
            self._turn(connection)
        return any(connection.state.ready for connection in waiting)

    def select(self, selector: EpollSelector, timeout: float) -> tuple[Ready, bool]:
        """Waits up to ``timeout`` seconds and serves meanwhile whom it can.

        Returns what is ready in ``selector``, and whether anything happened.
        """
        assert self._edge is not None
        return self._engine.select(selector, self._edge.events_fd(), timeout)

    def tidy(self, *, idle: bool) -> bool:
        """Gives some memory back, more when nothing else is to do; whether it goes on."""
        return self.table.tidy(_MOVES_IDLE if idle else _MOVES_BUSY, idle=idle)

    def look_again(self, *, idle: bool) -> float | None:
        """Gives a cold page its second look if nothing else is to do.

        Returns seconds until the next may have it, None while no page can.
        """
        if self._look is None:
            return None
        wait = self._look.wait()
        if wait == 0 and idle:
            self._look.step()
            wait = self._look.wait()
        return self._look.ages_in() if wait is None else wait

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
        parts = self._memory()
        return {
            "service": self._service_figures(),
            "table": table_figures(self.table, parts),
            "memory": parts,
            "arena_moves": self.table.arena.moves,
            "recovered_damaged": self.recovered_damaged,
            "waiting": {str(domid): self._kept(domid) for domid in self.waiting()},
            "draining": self.draining,
            "second_look": self._look.figures() if self._look else None,
            "records_written": self._sink.sequence - self._sink.dropped,
            "records_dropped": self._sink.dropped,
            "domains": {name: self._domain_stats(c) for name, c in self.connections.items()},
            "past_connections": self._past.as_dict(),
        }

    def marks(self) -> Record:
        """The last MARK of every connected domain, null before its first."""
        return {name: connection.mark for name, connection in self.connections.items()}

    def verify(self) -> Slices:
        """Recomputes every tally from the rows and reads every page, in slices."""
        return verification(self.table, self.domains.values())

    def drain(self) -> Record:
        """Asks every frontend to take its pages back; no store limit rises any more."""
        assert self._edge is not None
        if not self.draining:
            self.draining = True
            for connection in self.connections.values():
                connection.domain.freeze()
            self.event(None, "draining", f"{len(self.connections)} connections")
            self._edge.drain()
        return {"ok": True, "pages": {n: len(c.domain) for n, c in self.connections.items()}}

    def reset_peak(self) -> Record:
        """Forgets the peak."""
        self.peak = Peak()
        return {"ok": True}

    # Inside

    def _marked(self, name: str, mark: Mark) -> None:
        connection = self.connections[name]
        connection.mark = mark
        fields = mark_fields(
            connection,
            self.connections,
            self.table,
            self._service_figures(),
            self._memory(),
        )
        self.peak.offer(self._sink.write("mark", fields), self.table)

    def _memory(self) -> dict[str, int]:
        parts = memory(self.table, self.domains.values(), self._batch.footprint_bytes)
        parts["second_look"] = self._look.metadata_bytes if self._look else 0
        return parts

    def _kept(self, domid: int) -> int:
        return sum(len(domain) for life, domain in self.domains.items() if life.domid == domid)

    def _drop(self, domain: Domain, reason: str) -> None:
        count = self._leave(domain)
        self.event(domain.name, "dropped", f"{reason}; {count} references dropped")

    def _leave(self, domain: Domain) -> int:
        del self.domains[domain.life]
        return domain.leave()

    def _service_figures(self) -> Record:
        counters = [self._past, *(c.counters for c in self.connections.values())]
        return {
            "requests": sum(c.requests for c in counters),
            "stores": sum(c.stores for c in counters),
            "loads": sum(c.loads for c in counters),
            "shared_hits": self.table.shared_hits,
            "busy_seconds": round(self._busy_seconds + self._engine.busy_seconds, 6),
            "rss_bytes": self._rss.read(),
        } | self._look_figures()

    def _look_figures(self) -> Record:
        if self._look is None:  # a MARK has no room for what says nothing
            return {}
        budget = self._look.budget
        return {"looked_pages": budget.pages, "look_seconds": round(budget.spent_seconds, 6)}

    def _domain_stats(self, connection: Connection) -> dict[str, Any]:
        domain = connection.domain
        return {
            "quota_bytes": domain.quota_bytes,
            "charged_bytes": domain.charged_bytes,
            "store_limit": domain.store_limit,
            "stores_processed": domain.stores_processed,
            "references": domain.member.references,
            "distinct_bytes": domain.member.distinct_bytes,
            "requests": connection.counters.as_dict(),
        }
