"""The handshake and the lives of domains, over fakes of Xen's interfaces."""

from __future__ import annotations

import itertools

import pytest

from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.protocol import Op, Status
from testbed.store.verification import problems
from testbed.store.xen.offer import read_offer
from testbed.store.xen.xenstore import run_transaction
from tests.unit.store.dom0 import FakeDom0
from tests.unit.store.fakes import (
    FakeDomains,
    FakeEvents,
    FakeFrontend,
    FakeGrants,
    FakeXenStore,
)
from tests.unit.store.support import make_config, request


class Machine(FakeDom0):
    """dom0 with a store, and domains that come and go."""

    def __init__(self, folder) -> None:
        super().__init__(
            make_config(folder), FakeXenStore(), FakeGrants(), FakeEvents(), FakeDomains()
        )

    def restart(self):
        self.kill()
        self.start()

    def create(self, domid, name, **options) -> FakeFrontend:
        self.introduce(domid, name)
        return FakeFrontend(self, domid, **options)

    def connect(self, domid=3, name="domU1", **options) -> FakeFrontend:
        frontend = self.create(domid, name, **options)
        self.shake_hands(frontend)
        return frontend

    def shake_hands(self, frontend, **changes) -> None:
        frontend.offer(**changes)
        assert frontend.backend("state") == "4"
        frontend.switch(4)
        port = max(self.events.bound)
        frontend.ends.turn = lambda: (self.events.raise_(port), self.turn())

    def reconnect(self, frontend, **changes) -> None:
        """What a frontend does when it sees another instance, or on its own."""
        frontend.new_ring()
        frontend.switch(1)
        self.shake_hands(frontend, **changes)


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    if not machine.xenstore.closed:
        machine.edge.close()
    machine.close_store()
    machine.sink.close()


def test_the_nodes_of_both_ends_are_made_with_their_permissions(machine):
    frontend = machine.create(3, "domU1")
    assert frontend.backend("state") == "2"
    assert frontend.backend("frontend") == frontend.path
    assert frontend.backend("frontend-id") == "3"
    assert frontend.backend("max-data-pages") == "64"
    assert frontend.backend("encodings") == "raw,lz4,lzo,zstd"
    assert frontend.backend("mark-interval-ms") == "100"
    read, permissions = machine.xenstore.read, machine.xenstore.permissions
    assert read(f"{frontend.path}/backend") == "/local/domain/0/backend/pageshare/3/0"
    assert read(f"{frontend.path}/backend-id") == "0"
    assert read(f"{frontend.path}/state") == "1"
    for node in ("", "/state", "/store-limit"):
        machine.xenstore.write("/local/domain/0/backend/pageshare/3/0/store-limit", "0")
        path = f"/local/domain/0/backend/pageshare/3/0{node}"
        assert permissions[path] == [(0, False), (3, True)]
    for node in ("", "/state", "/backend"):
        assert permissions[f"{frontend.path}{node}"] == [(3, False), (0, True)]


def test_a_page_goes_out_and_comes_back(machine):
    frontend = machine.connect()
    assert frontend.backend("store-limit") == "256"
    stored = frontend.ends.store(1, b"page" * 100)
    assert frontend.ends.load(1, stored.page_id)[1] == b"page" * 100
    assert machine.events.masked == set()
    assert machine.events.notified


def test_two_domains_share(machine):
    one, two = machine.connect(3, "domU1"), machine.connect(4, "domU2")
    one.ends.store(1, b"page" * 100)
    two.ends.store(1, b"page" * 100)
    assert [e.sharing_domains for e in machine.store.table.entries()] == [2]


def test_other_domains_are_left_alone(machine):
    machine.create(9, "stranger")
    assert not any("/9/device/pageshare" in path for path in machine.xenstore.nodes)


def test_a_destroyed_domain_is_let_go_at_once(machine):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    machine.xenstore.remove("/local/domain/3")
    machine.turn()
    assert machine.grants.mapped == {}
    assert machine.events.bound == {}
    assert len(machine.store.table) == 0
    machine.destroy(3)
    assert not any(
        "pageshare" in path.split("/") and "3" in path for path in machine.xenstore.nodes
    )


def test_a_domain_that_died_without_a_word_is_let_go(machine):
    machine.connect()
    machine.domains.ended[3] = "the domain is being destroyed"
    machine.xenstore.fire("@releaseDomain")
    machine.turn()
    assert machine.grants.mapped == {}
    assert machine.store.connections == {}


def test_a_domain_comes_back_with_another_id(machine):
    first = machine.connect(3)
    first.ends.store(1, b"page" * 100)
    machine.destroy(3)
    again = machine.connect(7)
    assert again.ends.load(1, 1)[0].status == Status.ENOENT
    assert len(machine.store.table) == 0


def test_the_new_domain_is_served_although_the_old_one_is_dying_still(machine):
    machine.connect(3)
    machine.domains.ended[3] = "the domain is being destroyed"
    assert machine.create(7, "domU1").backend("state") == "2"


def test_a_domain_may_start_long_after_its_nodes(machine):
    frontend = machine.create(3, "domU1")
    for _ in range(5):
        machine.xenstore.fire(f"{frontend.path}/state")
        machine.xenstore.fire("@introduceDomain")
        machine.turn()
    assert frontend.backend("state") == "2"
    frontend.offer()
    assert frontend.backend("state") == "4"


def test_an_orderly_close_and_a_new_start(machine):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    frontend.switch(5)
    assert frontend.backend("state") == "5"
    assert machine.grants.mapped == {}
    frontend.switch(6)
    assert frontend.backend("state") == "6"
    frontend.switch(1)
    assert frontend.backend("state") == "2"
    frontend.offer()
    assert frontend.backend("state") == "4"


BAD = {
    "protocol_version": ("2", "0", "x", ""),
    "ring_page_order": ("-1", "4", "x", "1"),
    "ring_ref0": ("-1", "4294967296", "1 2", "9" * 400, "7"),
    "epoch": ("", "xyz", "12345678123456781", "-1"),
    "directory_ref": ("nonsense", "8"),
    "event_channel": ("0", "2147483648", "666"),
    "nr_data_pages": ("0", "65", "1025", "\u0663"),
    "encoding": ("gzip", ""),
}


@pytest.mark.parametrize(("node", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_bad_offer_is_refused_and_nothing_stays_mapped(machine, node, value):
    frontend = machine.create(3, "domU1")
    frontend.offer(**{node: value})
    assert frontend.backend("state") == "5"
    assert machine.grants.mapped == {}
    assert machine.events.bound == {}
    frontend.switch(6)
    frontend.switch(1)
    assert frontend.backend("state") == "6"  # it had its chance


def test_what_an_offer_lacks_is_named():
    store = FakeXenStore()
    store.write("/f/protocol-version", "1")
    store.write("/f/encoding", "lz4")
    with pytest.raises(ProtocolViolation, match="ring-page-order is None"):
        read_offer(store, "/f", 64)
    store.close()


def test_a_violation_disconnects_that_domain_alone(machine):
    one, two = machine.connect(3, "domU1"), machine.connect(4, "domU2")
    one.ends.shared.memory[0:4] = (999).to_bytes(4, "little")
    one.ends.turn()
    assert one.backend("state") == "5"
    assert list(machine.store.connections) == ["domU2"]
    assert two.ends.ask(request(Op.INVALIDATE_AREA))[0].status == Status.OKAY


def test_lost_events_make_every_ring_be_looked_at(machine):
    frontend = machine.connect()
    frontend.ends.send(request(Op.INVALIDATE_AREA))
    machine.events.overflow = True
    machine.turn()
    assert len(frontend.ends.receive()) == 1


def kept(machine) -> dict[int, int]:
    """Pages of domains without a connection, by domain id."""
    return {domid: machine.store._kept(domid) for domid in machine.store.waiting()}


def test_the_stores_end_tells_the_frontends_nothing(machine):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    before = dict(machine.xenstore.nodes)
    machine.edge.close()
    assert machine.xenstore.nodes == before
    assert machine.grants.closed
    assert kept(machine) == {3: 1}


@pytest.mark.parametrize("state", [1, 2, 3, 4])
def test_a_restarted_store_enters_init_wait_with_another_instance(machine, state):
    frontend = machine.connect()
    first = frontend.backend("instance")
    frontend.switch(state)
    machine.restart()
    assert frontend.backend("state") == "2"
    assert frontend.backend("instance") not in (first, None)
    assert frontend.backend("max-ring-page-order") == "3"


def test_a_frontend_finds_its_pages_again_in_a_restarted_store(machine):
    one, two = machine.connect(3, "domU1", ring_order=2), machine.connect(4, "domU2")
    rows = {n: one.ends.store(n, bytes([n]) * 400).page_id for n in range(20)}
    shared = two.ends.store(7, bytes([7]) * 400)
    machine.restart()
    assert kept(machine) == {3: 20, 4: 1}
    machine.reconnect(one)
    assert one.backend("kept-pages") == "20"
    assert one.backend("store-limit") == str(((1 << 20) - 20 * 400) // 4096)
    for n, row in rows.items():
        assert one.ends.load(n, row)[1] == bytes([n]) * 400
    machine.reconnect(two)
    assert two.ends.load(7, shared.page_id)[1] == bytes([7]) * 400
    *_, answer = machine.store.verify()
    assert answer["ok"]
    assert answer["pages"] == 20
    assert len(machine.store.table) == 20


def test_an_initialised_for_the_former_store_is_not_acted_on(machine):
    frontend = machine.connect()
    former = frontend.backend("instance")
    machine.restart()
    frontend.new_ring()
    frontend.switch(1)
    frontend.offer(instance=former)
    assert frontend.backend("state") == "2"
    frontend.offer()  # Initialised again; nothing else is seen in between
    assert frontend.backend("state") == "4"
    assert frontend.backend("kept-pages") == "0"


def test_an_instance_is_a_number_however_it_is_spelled(machine):
    frontend = machine.connect()
    machine.restart()
    frontend.new_ring()
    frontend.switch(1)
    frontend.offer(instance=f"{int(frontend.backend('instance'), 16):016X}")
    assert frontend.backend("state") == "4"


def test_another_epoch_starts_empty(machine):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    machine.restart()
    machine.reconnect(frontend, epoch="ffffffffffffffff")
    assert frontend.backend("kept-pages") == "0"
    assert len(machine.store.table) == 0
    assert len(machine.store.domains) == 1


def test_a_frontend_that_starts_over_keeps_its_pages(machine):
    frontend = machine.connect()
    stored = frontend.ends.store(1, b"page" * 100)
    frontend.new_ring()
    frontend.offer()  # Initialising was not seen: another event channel tells
    assert frontend.backend("state") == "4"
    assert frontend.backend("kept-pages") == "1"
    machine.reconnect(frontend)
    assert frontend.backend("kept-pages") == "1"
    assert frontend.ends.load(1, stored.page_id)[1] == b"page" * 100
    assert len(machine.grants.mapped) == 2  # the ring and the data pages, once


def test_what_a_domain_left_that_is_gone_is_dropped_at_the_start(machine):
    one, two = machine.connect(3, "domU1"), machine.connect(4, "domU2")
    one.ends.store(1, b"page" * 100)
    two.ends.store(1, b"page" * 100)
    machine.kill()
    machine.domains.alive.discard(3)
    machine.xenstore.remove("/local/domain/3")
    machine.start()
    assert kept(machine) == {4: 1}
    assert problems(machine.store.table, machine.store.domains.values()) == []
    assert [e.sharing_domains for e in machine.store.table.entries()] == [1]


def test_what_a_domain_left_that_is_not_served_any_more_is_dropped(machine):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    machine.kill()
    machine.xenstore.write("/local/domain/3/name", "stranger")
    machine.start()
    assert kept(machine) == {}
    assert len(machine.store.table) == 0


def test_a_domain_that_ends_before_it_comes_back_is_dropped(machine):
    machine.connect().ends.store(1, b"page" * 100)
    machine.restart()
    assert kept(machine) == {3: 1}
    machine.destroy(3)
    assert kept(machine) == {}
    assert len(machine.store.table) == 0


@pytest.mark.parametrize("state", [5, 6])
def test_a_frontend_that_closed_meanwhile_has_dropped_its_pages(machine, state):
    frontend = machine.connect()
    frontend.ends.store(1, b"page" * 100)
    machine.kill()
    machine.xenstore.write(f"{frontend.path}/state", str(state))
    machine.start()
    assert kept(machine) == {}
    frontend.switch(6)
    frontend.switch(1)
    machine.shake_hands(frontend)
    assert frontend.backend("kept-pages") == "0"


def test_a_violation_drops_the_pages_of_that_domain(machine):
    one, two = machine.connect(3, "domU1"), machine.connect(4, "domU2")
    one.ends.store(1, b"one." * 100)
    two.ends.store(1, b"two." * 100)
    one.ends.shared.memory[0:4] = (999).to_bytes(4, "little")
    one.ends.turn()
    assert len(machine.store.table) == 1
    machine.restart()
    assert kept(machine) == {4: 1}


@pytest.mark.parametrize("left", [5, 6])
def test_a_frontend_that_left_a_former_store_is_asked_again(machine, left):
    frontend = machine.connect()
    frontend.switch(left)
    machine.restart()
    assert frontend.backend("state") == "2"
    machine.reconnect(frontend)
    frontend.switch(6)  # but if it leaves this one, it is left alone
    assert frontend.backend("state") == "6"


def test_draining_serves_until_the_frontend_is_closed(machine):
    frontend = machine.connect()
    stored = frontend.ends.store(1, b"page" * 100)
    assert machine.store.drain()["pages"] == {"domU1": 1}
    assert frontend.backend("state") == "5"
    limit = frontend.ends.invalidate((0, 99, 1)).store_limit
    assert limit == stored.store_limit
    frontend.switch(5)
    assert frontend.ends.load(1, stored.page_id)[1] == b"page" * 100
    frontend.ends.invalidate((0, 1, 1))
    assert frontend.ends.invalidate((0, 1, 1)).store_limit == limit
    frontend.switch(6)
    assert frontend.backend("state") == "6"
    assert machine.grants.mapped == {}
    frontend.switch(1)
    assert frontend.backend("state") == "6"
    late = machine.create(9, "domU2")
    assert late.backend("state") is None


def test_one_that_connects_to_a_store_that_drains_is_drained_too(machine):
    """It has said nothing yet when the others are asked, and may have pages from before."""
    frontend = machine.connect()
    stored = frontend.ends.store(1, b"page" * 100)
    machine.restart()
    machine.store.drain()
    frontend.new_ring()
    frontend.switch(1)
    machine.shake_hands(frontend)
    assert frontend.backend("store-limit") == "0"
    assert frontend.backend("kept-pages") == "1"
    assert frontend.backend("state") == "5"
    assert frontend.ends.store(2, b"more" * 100).status == Status.ENOSPC
    assert frontend.ends.load(1, stored.page_id)[1] == b"page" * 100
    assert frontend.ends.invalidate((0, 1, 1)).store_limit == 0
    frontend.switch(6)
    assert machine.grants.mapped == {}


def test_nodes_are_not_made_for_a_domain_that_is_gone_meanwhile(machine):
    machine.domains.alive.add(3)
    machine.xenstore.write("/local/domain/3/name", "domU1")
    begin = machine.xenstore.begin

    def late():
        machine.xenstore.nodes.pop("/local/domain/3/name", None)
        return begin()

    machine.xenstore.begin = late
    machine.xenstore.fire("@introduceDomain")
    machine.turn()
    assert not any("pageshare" in path for path in machine.xenstore.nodes)


def test_a_disturbed_transaction_is_tried_again():
    store = FakeXenStore()
    store.disturb = 3
    run_transaction(store, lambda nodes: nodes.write("/a", "1"))
    assert store.read("/a") == "1"
    store.disturb = 10**6
    with pytest.raises(TransportError, match="disturbed"):
        run_transaction(store, lambda nodes: nodes.write("/a", "2"))
    store.close()


def test_a_failed_transaction_leaves_nothing():
    store = FakeXenStore()
    with pytest.raises(ZeroDivisionError):
        run_transaction(store, lambda nodes: (nodes.write("/a", "1"), 1 / 0))
    assert store.read("/a") is None
    store.close()


def test_a_second_domain_of_the_same_name_is_refused(machine):
    machine.connect(3)
    second = machine.create(8, "domU1")
    assert second.backend("state") is None
    assert next(itertools.islice(machine.store.connections, 1)) == "domU1"


def test_a_domain_that_could_not_be_watched_is_found_again(machine, monkeypatch):
    def fails(path, token):
        raise TransportError("no memory for a watch")

    with monkeypatch.context() as patch:
        patch.setattr(machine.xenstore, "watch", fails)
        frontend = machine.create(3, "domU1")
    machine.xenstore.fire("@introduceDomain")
    machine.turn()
    machine.shake_hands(frontend)
    assert machine.store.status()["connected"] == ["domU1"]
