"""Faults strike in their order; all recovers, and the store is asked what it holds."""

from __future__ import annotations

import threading

import pytest

from orchestrator.errors import GuestHung, InfrastructureError
from orchestrator.faults import Injector, Strike
from orchestrator.faults import injector as module
from tests.unit.faults.fakes import FakeLoops, FakeMachine


def strike(kind, number=1, *, gap=0.0, seconds=None, domain=None):
    return Strike(kind, number, gap, seconds, domain)


@pytest.fixture
def machine():
    return FakeMachine()


@pytest.fixture
def inject(machine):
    struck = []

    def inject(*strikes):
        lock = threading.Lock()
        loops = FakeLoops(machine.said)
        made = Injector(machine, strikes, loops, struck.append, lock)
        made.seen = struck
        return made

    return inject


def finish(injector):
    injector.start()
    assert injector._ended.wait(10)


def test_a_killed_store_is_started_again_and_verified(inject, machine):
    with inject(strike("kill-store"), strike("kill-store", 2)) as injector:
        finish(injector)
    assert machine.said == ["kill", "start again", "status", "verify"] * 2
    assert injector.done and injector.problems == []
    assert [(one.kind, one.number) for one in injector.seen] == [
        ("kill-store", 1),
        ("kill-store", 2),
    ]
    assert "SIGKILL" in injector.seen[0].done


def test_a_domain_that_is_destroyed_comes_back_with_its_load(inject, machine):
    with inject(strike("destroy-domain", domain="victim")) as injector:
        finish(injector)
    assert machine.said == [
        "forget victim",
        "destroy victim",
        "victim is gone",
        "create victim",
        "load victim",
        "status",
        "verify",
    ]
    assert "(domain 3); created again as 9" in injector.seen[0].done


def test_nobody_is_asked_while_the_store_stands_still(inject, machine):
    with inject(strike("freeze-store", seconds=0.3)) as injector:
        injector.start()
        threading.Event().wait(0.1)
        assert machine.store.frozen
        assert not injector.asking.acquire(blocking=False)
        assert injector._ended.wait(10)
    assert machine.said == ["freeze", "thaw", "status", "verify"]
    assert 0.3 <= injector.seen[0].seconds < 2
    assert injector.asking.acquire(blocking=False)


def test_what_ends_early_leaves_nothing_frozen(inject, machine):
    with inject(strike("freeze-store", seconds=60)) as injector:
        injector.start()
        threading.Event().wait(0.1)
    assert not machine.store.frozen


def test_a_gap_ends_at_once_when_it_is_stopped(inject, machine):
    with inject(strike("kill-store", gap=60)) as injector:
        injector.start()
        assert not injector.done
    assert machine.said == []


def test_recovery_waits_for_every_domain(inject, machine):
    machine.store.connected = [["domU1"], ["domU1", "domU2"], ["domU1", "domU2", "victim"]]
    with inject(strike("kill-store")) as injector:
        finish(injector)
    assert machine.said.count("status") == 3
    assert injector.seen[0].recovery_seconds >= 0.5


def test_a_domain_that_does_not_connect_again_is_hung(inject, machine, monkeypatch):
    monkeypatch.setattr(module, "RECOVERY_SECONDS", 0.2)
    machine.store.connected = [["domU1", "domU2"]]
    with inject(strike("kill-store")) as injector:
        finish(injector)
        assert not injector.done
        with pytest.raises(GuestHung, match="victim: not connected to the store"):
            injector.check()


def test_what_the_store_finds_is_a_problem(inject, machine):
    machine.store.problems = [f"page {n} is damaged" for n in range(6)]
    with inject(strike("kill-store", 7)) as injector:
        finish(injector)
    assert injector.problems[0] == "after kill-store 7, the store finds: page 0 is damaged"
    assert injector.problems[-1] == "after kill-store 7, the store finds 2 more"


def test_a_store_that_does_not_come_back_ends_the_run(inject, machine):
    machine.store.broken = True
    with inject(strike("kill-store"), strike("kill-store", 2)) as injector:
        finish(injector)
        with pytest.raises(InfrastructureError, match="ended at once"):
            injector.check()
    assert machine.said == ["kill"]


def test_an_error_of_our_own_is_heard_of(inject, machine):
    machine.store.kill = None
    with inject(strike("kill-store")) as injector:
        finish(injector)
        with pytest.raises(InfrastructureError, match="faults have ended"):
            injector.check()


def test_ctrl_c_does_not_wait_for_a_domain_that_is_being_destroyed(inject, machine, monkeypatch):
    going_on = threading.Event()
    monkeypatch.setattr(machine, "destroy_domain", lambda *_: going_on.wait(30))
    injector = inject(strike("destroy-domain", domain="victim"))
    with pytest.raises(KeyboardInterrupt), injector:
        injector.start()
        raise KeyboardInterrupt
    assert injector._thread.is_alive()
    going_on.set()
    injector._thread.join(10)
