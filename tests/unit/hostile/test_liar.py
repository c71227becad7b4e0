"""The store that lies, over fakes of Xen's interfaces and a frontend that looks closely."""

from __future__ import annotations

import random

import pytest

from testbed.hostile.liar import Liar, Plan, draw_plan
from testbed.hostile.lies import LIES, Lie
from testbed.hostile.nodes import NODES, LyingXenStore
from testbed.hostile.ring import WatchedGrants
from testbed.store.protocol import Op
from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.store import Store
from testbed.store.transport.interface import Batch
from testbed.store.xen.edge import XenEdge
from tests.unit.store.fakes import (
    FakeDomains,
    FakeEvents,
    FakeFrontend,
    FakeGrants,
    FakeXenStore,
)
from tests.unit.store.support import make_config, request, ring_library

TRUTH = Plan(answers=1000)
ALWAYS = Plan(answers=1000, share=1.0)
NOTHING = Lie("nothing", frozenset(), lambda telling: None)
PAGES = {offset: bytes([offset]) * 100 for offset in range(1, 5)}


class Machine:
    """dom0 with a store that lies to domU1; time stands still unless a test moves it."""

    def __init__(self, folder) -> None:
        self.config = make_config(folder)
        self.nodes, self.real_grants = FakeXenStore(), FakeGrants()
        self.nodes.close = lambda: None  # the next start uses it again
        self.xenstore, self.grants = self.nodes, self.real_grants
        self.events, self.domains = FakeEvents(), FakeDomains()
        self.sink, self.batch, self.now = RecordSink(self.config.records), Batch(), 0.0
        groups = [domain.group for domain in self.config.domains]
        table, recovered = open_table(self.config.arena_bytes, groups, self.config.state_path)
        self.store = Store(self.config, table, recovered, self.batch, self.sink)
        self.liar = Liar(self.store, self.batch, "domU1", random.Random(1), lambda: self.now)
        self.edge = None

    def start(self, plan):
        if self.edge is not None:
            self.edge.close()
            self.nodes.watches.clear()
            self.nodes.fired.clear()
        lying = LyingXenStore(self.nodes, "domU1", plan.node, self.liar.told)
        grants = WatchedGrants(self.real_grants)
        self.edge = XenEdge(
            self.config, self.batch, ring_library(), lying, grants, self.events, self.domains
        )
        self.liar.begin(plan, lying)
        self.edge.start(self.liar.at(grants, self.events.notify))
        (_, self._watches), (_, self._ports) = self.edge.sources()
        self.turn()

    def end(self):
        self.edge.close()
        state = self.store.table.state
        self.store.close()
        state.close()
        self.sink.close()

    def turn(self):
        while self.nodes.fired:
            self._watches()
        self._ports()
        self.liar.step()
        while self.liar.busy:
            self.liar.step()

    def introduce(self, domid, name) -> FakeFrontend:
        self.domains.alive.add(domid)
        self.nodes.make(f"/local/domain/{domid}/device", [(0, False), (domid, True)])
        self.nodes.write(f"/local/domain/{domid}/name", name)
        self.nodes.fire("@introduceDomain")
        self.turn()
        return FakeFrontend(self, domid)

    def shake_hands(self, frontend):
        frontend.offer()
        assert frontend.backend("state") == "4"
        frontend.switch(4)
        port = max(self.events.bound)
        frontend.ends.turn = lambda: (self.events.raise_(port), self.turn())

    def connect(self, domid=3, name="domU1") -> FakeFrontend:
        frontend = self.introduce(domid, name)
        self.shake_hands(frontend)
        return frontend


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.end()


def load(offset, page_id, **fields):
    return request(Op.LOAD, offset=offset, generation=1, page_id=page_id, **fields)


def test_without_lies_it_is_the_store(machine):
    machine.start(TRUTH)
    frontend = machine.connect()
    stored = {offset: frontend.ends.store(offset, page) for offset, page in PAGES.items()}
    for offset, page in PAGES.items():
        assert frontend.ends.load(offset, stored[offset].page_id)[1] == page
    frontend.ends.invalidate((0, 1, 1))
    assert machine.store.status()["references"] == {"domU1": 3}
    assert machine.liar.told == {}
    assert machine.liar.answers == 9


def seen(folder, lie) -> tuple[bytes, int]:
    """Shared memory and number of events after some requests, the last of them lied about."""
    machine = Machine(folder)
    machine.start(TRUTH)
    frontend = machine.connect()
    ends = frontend.ends
    ids = {offset: ends.store(offset, page).page_id for offset, page in PAGES.items()}
    asked = [load(offset, page, id=offset, data_page=offset) for offset, page in ids.items()]
    asked.append(request(Op.STORE, id=5, data_page=5, length=100, encoding=1, offset=9))
    if lie is not None:
        machine.liar._plan = ALWAYS
        machine.liar._choose = lambda answer: lie if answer.op in lie.ops else NOTHING
    ends.send(*asked)
    ends.turn()
    machine.now += 0.3  # the longest that a second answer is held back
    machine.turn()
    machine.end()
    if lie is not None:
        assert machine.liar.told[lie.name] >= 1
    return bytes(ends.shared.memory), len(machine.events.notified)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_can_be_told_from_the_truth(tmp_path, lie):
    for name in ("true", "lied"):
        (tmp_path / name).mkdir()
    assert seen(tmp_path / "lied", lie) != seen(tmp_path / "true", None)


def test_what_is_no_request_at_all_is_answered_and_no_more(machine):
    machine.start(ALWAYS)
    frontend = machine.connect()
    frontend.ends.ask(request(9, length=0))
    frontend.ends.ask(request(Op.INVALIDATE))
    assert machine.liar.answers >= 1


def test_names_of_lies_differ():
    assert len({lie.name for lie in LIES}) == len(LIES) > 30


def test_what_is_told_late_comes_when_it_is_due(machine):
    machine.start(TRUTH)
    frontend = machine.connect()
    machine.liar._plan = ALWAYS
    (late,) = [lie for lie in LIES if lie.name == "told-late"]
    machine.liar._choose = lambda answer: late
    stored = request(Op.STORE, id=7, length=100, encoding=1, offset=1)
    assert frontend.ends.ask(stored) == []
    machine.now += 1.1
    machine.turn()
    assert [answer.id for answer in frontend.ends.receive()] == [7]


def test_the_others_are_told_the_truth(machine):
    machine.start(ALWAYS)
    frontend = machine.connect(4, "domU2")
    for offset, page in PAGES.items():
        stored = frontend.ends.store(offset, page)
        assert frontend.ends.load(offset, stored.page_id)[1] == page
    assert machine.liar.told == {}


def test_a_victim_that_leaves_ends_the_start_and_finds_its_pages_again(machine):
    machine.start(TRUTH)
    frontend = machine.connect()
    stored = frontend.ends.store(1, PAGES[1])
    assert not machine.liar.over
    frontend.switch(5)
    assert machine.liar.over
    assert machine.liar.left == 1
    instance = frontend.backend("instance")

    machine.start(TRUTH)
    assert frontend.backend("instance") != instance
    frontend.new_ring()
    frontend.switch(1)
    machine.shake_hands(frontend)
    assert frontend.backend("kept-pages") == "1"
    assert frontend.ends.load(1, stored.page_id)[1] == PAGES[1]
    machine.now += TRUTH.quiet
    assert machine.liar.over


def test_a_domain_that_ends_leaves_nothing(machine):
    machine.start(TRUTH)
    machine.connect().ends.store(1, PAGES[1])
    machine.domains.ended[3] = "the domain is being destroyed"
    machine.nodes.fire("@releaseDomain")
    machine.turn()
    assert len(machine.store.table) == 0
    assert machine.store.waiting() == []


@pytest.mark.parametrize("node", NODES)
def test_a_node_is_wrong_for_the_victim_alone(machine, node):
    # that nothing is kept is true of a domain that has just come
    lies = [value for value in NODES[node] if (node, value) != ("kept-pages", "0")]
    for value in lies:
        machine.start(Plan(answers=1000, node=(node, value)))
        for domid, name in ((3, "domU1"), (4, "domU2")):
            frontend = machine.introduce(domid, name)
            if node in ("store-limit", "kept-pages"):
                frontend.offer(instance=f"{machine.edge._instance:x}")
            assert (frontend.backend(node) == value) == (name == "domU1")
            machine.domains.ended[domid] = "the domain is gone"
        machine.nodes.fire("@releaseDomain")
        machine.turn()
        machine.domains.ended.clear()
        for domid in (3, 4):
            machine.nodes.remove(f"/local/domain/{domid}")
    assert machine.liar.told[f"node-{node}"] >= len(lies)


def test_a_node_changes_on_the_way(machine):
    machine.start(Plan(answers=1000, change=("kept-pages", "some"), change_after=3))
    frontend = machine.connect()
    for offset in (1, 2):
        frontend.ends.store(offset, PAGES[offset])
    assert frontend.backend("kept-pages") == "0"
    frontend.ends.store(3, PAGES[3])
    machine.turn()
    assert frontend.backend("kept-pages") == "some"
    machine.start(Plan(answers=1000, change=("", "")))
    frontend.new_ring()
    frontend.switch(1)
    frontend.offer()
    machine.turn()
    assert frontend.backend("state") is None
    assert machine.liar.told == {"node-kept-pages-changed": 1, "backend-removed": 1}


def test_plans_follow_from_the_seed_and_the_first_is_true_in_xenstore():
    one, other = random.Random(5), random.Random(5)
    plans = [draw_plan(one, number) for number in range(300)]
    assert plans == [draw_plan(other, number) for number in range(300)]
    assert plans[0].node is plans[0].change is None
    assert {plan.node[0] for plan in plans if plan.node} == set(NODES)
    assert any(plan.change == ("", "") for plan in plans)
    assert {plan.share for plan in plans} >= {0.0, 1.0}


def test_a_start_waits_for_the_victim_but_not_for_ever(machine):
    machine.start(Plan(answers=9, seconds=10, patience=20))
    frontend = machine.introduce(3, "domU1")
    machine.now += 19
    assert not machine.liar.over
    machine.shake_hands(frontend)
    machine.now += 9
    assert not machine.liar.over
    machine.now += 1
    assert machine.liar.over
    machine.start(Plan(answers=9, patience=20))
    machine.now += 20
    assert machine.liar.over


def test_a_start_ends_after_its_answers(machine):
    machine.start(Plan(answers=3))
    ends = machine.connect().ends
    ends.store(1, PAGES[1])
    ends.store(2, PAGES[2])
    assert not machine.liar.over
    ends.store(3, PAGES[3])
    assert machine.liar.over


def test_a_start_ends_when_no_page_is_asked_for(machine):
    machine.start(Plan(answers=99, quiet=2))
    ends = machine.connect().ends
    ends.mark()
    machine.now += 3
    assert not machine.liar.over, "no page was asked for yet"
    ends.store(1, PAGES[1])
    machine.now += 1.5
    ends.mark()
    assert not machine.liar.over
    machine.now += 0.5
    assert machine.liar.over
