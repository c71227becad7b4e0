"""The loop around the liar: two edges over one xenstore, start after start, until SIGTERM."""

from __future__ import annotations

import json
import signal
from typing import ClassVar

import pytest

from testbed.hostile import __main__ as hostile
from testbed.hostile.liar import Liar, Plan
from testbed.store.protocol import Op, Status
from tests.unit.store.fakes import (
    FakeDomains,
    FakeEvents,
    FakeFrontend,
    FakeGrants,
    FakeXenStore,
)
from tests.unit.store.support import make_config, request, ring_library

PAGE = b"page" * 100


class Connection(FakeXenStore):
    """One of several connections to the same xenstored."""

    peers: ClassVar[list[Connection]] = []

    def __init__(self) -> None:
        super().__init__()
        if self.peers:
            self.nodes, self.permissions = self.peers[0].nodes, self.peers[0].permissions
        self.peers.append(self)

    def fire(self, path):
        for peer in self.peers:
            FakeXenStore.fire(peer, path)

    def begin(self):
        transaction = super().begin()
        end = transaction.end

        def end_and_keep_sharing(*, abort):
            nodes, permissions = self.nodes, self.permissions
            good = end(abort=abort)
            if good and not abort:
                for kept, new in ((nodes, self.nodes), (permissions, self.permissions)):
                    new = dict(new)
                    kept.clear()
                    kept.update(new)
                self.nodes, self.permissions = nodes, permissions
            return good

        transaction.end = end_and_keep_sharing
        return transaction

    def close(self):
        super().close()
        self.peers.remove(self)


class Dom0:
    """What the fakes share, and the frontends' part of the play."""

    def __init__(self) -> None:
        Connection.peers = []
        self.xenstore = Connection()
        self.domains, self.events, self.grants = FakeDomains(), [], FakeGrants()

    def make_events(self):
        self.events.append(FakeEvents())
        return self.events[-1]

    def make_grants(self):
        grants = FakeGrants()
        grants.frontends = self.grants.frontends
        return grants

    def turn(self):
        """The loop turns by itself."""

    def create(self, domid, name):
        self.domains.alive.add(domid)
        self.xenstore.make(f"/local/domain/{domid}/device", [(0, False), (domid, True)])
        self.xenstore.write(f"/local/domain/{domid}/name", name)
        self.xenstore.fire("@introduceDomain")
        return FakeFrontend(self, domid)


@pytest.fixture
def dom0(monkeypatch):
    dom0 = Dom0()
    for name, made in {
        "XsStore": Connection,
        "XenEventChannels": dom0.make_events,
        "XenGrantTable": dom0.make_grants,
        "XcDomainList": lambda: dom0.domains,
        "RingLibrary": ring_library,
    }.items():
        monkeypatch.setattr(hostile, name, made)
    before = signal.getsignal(signal.SIGTERM)
    yield dom0
    signal.signal(signal.SIGTERM, before)
    dom0.xenstore.close()


def play(dom0):
    """What the frontends do, a step for each turn of the loop."""
    victim, other = dom0.create(3, "domU1"), dom0.create(4, "domU2")
    for frontend in (other, victim):
        yield from shake_hands(frontend)
        yield from store(dom0, frontend)
    others_instance = other.backend("instance")
    for _ in range(2):
        instance = victim.backend("instance")
        victim.switch(5)
        while victim.backend("instance") == instance:
            yield
        victim.new_ring()
        victim.switch(1)
        yield from shake_hands(victim)
        assert victim.backend("kept-pages") == "1"
    assert other.backend("instance") == others_instance
    assert other.backend("state") == "4"
    signal.raise_signal(signal.SIGTERM)
    yield "done"


def shake_hands(frontend):
    while frontend.backend("state") != "2":
        yield
    frontend.offer()
    while frontend.backend("state") != "4":
        yield
    frontend.switch(4)


def store(dom0, frontend):
    frontend.ends.write_page(0, PAGE)
    frontend.ends.send(request(Op.STORE, length=len(PAGE), encoding=1, offset=1))
    for events in dom0.events:
        for port, (domid, _) in list(events.bound.items()):
            if domid == frontend.domid:
                events.raise_(port)
    while not (answers := frontend.ends.receive()):
        yield
    assert answers[0].status == Status.OKAY


def test_a_report_is_there_when_it_is_ready(dom0, tmp_path, monkeypatch):
    found = []

    def said(word, flush):
        assert flush
        found.append((word, json.loads((tmp_path / "lies.json").read_text())["starts"]))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(hostile, "print", said, raising=False)
    hostile._House(make_config(tmp_path), "domU1", 1, tmp_path / "lies.json").run()
    assert found == [("ready", 0)]


def test_starts_follow_each_other_until_sigterm(dom0, tmp_path, monkeypatch):
    plan = Plan(answers=1000, quiet=60, seconds=60)
    monkeypatch.setattr(hostile, "draw_plan", lambda random, number: plan)
    script = play(dom0)
    outcome = []
    real_step = Liar.step

    def step(liar):
        real_step(liar)
        outcome.append(next(script))

    monkeypatch.setattr(Liar, "step", step)
    house = hostile._House(make_config(tmp_path), "domU1", 1, tmp_path / "lies.json")
    house.run()
    assert outcome[-1] == "done"
    report = json.loads((tmp_path / "lies.json").read_text())
    assert (report["starts"], report["left"], report["connections"]) == (3, 2, 3)
    assert report["lies"] == {}
