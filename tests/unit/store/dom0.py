"""A store at Xen's edge in a dom0 of fakes: it starts, is killed, and domains come and go."""

from __future__ import annotations

from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.store import Store
from testbed.store.transport.interface import Batch
from testbed.store.xen.edge import XenEdge
from tests.unit.store.support import ring_library


class FakeDom0:
    """A store, what it sees of Xen, and what ``xl`` does there."""

    def __init__(self, config, xenstore, grants, events, domains) -> None:
        self.config = config
        self.xenstore, self.grants = xenstore, grants
        self.events, self.domains = events, domains
        self.sink = RecordSink(config.records)
        self.start()

    def start(self) -> None:
        """Starts a store on what the last one left."""
        batch = Batch()
        groups = [domain.group for domain in self.config.domains]
        table, recovered = open_table(self.config.arena_bytes, groups, self.config.state_path)
        self.store = Store(self.config, table, recovered, batch, self.sink)
        self.edge = XenEdge(
            self.config,
            batch,
            ring_library(),
            self.xenstore,
            self.grants,
            self.events,
            self.domains,
        )
        self.store.use(self.edge)
        (_, self._watches), (_, self._ports) = self.edge.sources()
        self.turn()

    def kill(self) -> None:
        """The store is gone; Xen closes what it had mapped and bound."""
        self.grants.forget()
        self.events.bound.clear()
        self.xenstore.watches.clear()
        self.xenstore.fired.clear()
        self.close_store()

    def close_store(self) -> None:
        """Its files and what it has of them."""
        state = self.store.table.state
        self.store.close()
        state.close()

    def turn(self) -> None:
        """What the loop does until nothing is left."""
        while self.xenstore.fired:
            self._watches()
        self._ports()
        while self.store.continue_pending():
            pass

    def introduce(self, domid: int, name: str) -> None:
        """What ``xl create`` does."""
        self.domains.alive.add(domid)
        self.xenstore.make(f"/local/domain/{domid}/device", [(0, False), (domid, True)])
        self.xenstore.write(f"/local/domain/{domid}/name", name)
        self.xenstore.fire("@introduceDomain")
        self.turn()

    def destroy(self, domid: int) -> None:
        """What ``xl destroy`` does: the nodes go first, then the domain."""
        self.xenstore.remove(f"/local/domain/{domid}")
        self.turn()
        self.domains.alive.discard(domid)
        self.xenstore.fire("@releaseDomain")
        self.turn()
