"""A store that lies to a domU: it lives, no process sees a wrong byte, others notice nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from orchestrator.deadline import Deadline
from orchestrator.machine import HostileStore, kernel_reports
from orchestrator.workloads import PageChurn, RunningChurn
from tests.system.pages import Pages

SEED = 20261127
LIES, STARTS_LEFT, KINDS = 300, 6, 20
"""What must have been told before the loops end."""


@contextmanager
def lying(pages: Pages) -> Iterator[HostileStore]:
    """The real store stands aside, and comes back to the same state."""
    machine = pages.machine
    machine.store.stop(Deadline.after(60))
    hostile = HostileStore.of(machine, "victim", SEED)
    try:
        hostile.start(Deadline.after(60))
        hostile.wait_ready(Deadline.after(60))
        yield hostile
        hostile.stop(Deadline.after(60))
    finally:
        if hostile.running():
            hostile.kill(Deadline.after(60))
        machine.store.start_again(Deadline.after(60))


def enough(report: dict) -> bool:
    told = report["lies"]
    return sum(told.values()) >= LIES and report["left"] >= STARTS_LEFT and len(told) >= KINDS


@pytest.mark.timeout(1200)
def test_a_store_that_lies(pages: Pages) -> None:
    machine = pages.machine
    consoles = {name: machine.console(name) for name in ("victim", "domU1", "xen-dom0")}
    before = {name: console.size() for name, console in consoles.items()}

    def churning(churn: PageChurn, name: str) -> RunningChurn:
        running = churn.start(pages.domain(name), Deadline.after(60))
        # whatever happens: other tests take the domU for idle
        ended.callback(running.job.stop, "KILL")
        return running

    with ExitStack() as ended:
        with lying(pages) as hostile:
            victim = PageChurn(pages.program, pages=200, loops=3, seed=SEED, tolerate=True)
            other = PageChurn(pages.program, pages=200, loops=1, seed=SEED)
            lied_to = churning(victim, "victim")
            told_the_truth = churning(other, "domU1")
            deadline = Deadline.after(300)
            while not enough(hostile.report(Deadline.after(60))):
                assert not deadline.expired, hostile.report(Deadline.after(60))
                hostile.check()
                lied_to.check(Deadline.after(60))
                told_the_truth.check(Deadline.after(60))
                time.sleep(2)
            counters = pages.counters("victim")
            report = hostile.report(Deadline.after(60))
        # the real store finds everybody again, the victim too, and what there is of their pages
        spoiled = lied_to.finish(Deadline.after(180))
        spared = told_the_truth.finish(Deadline.after(180))
    print(report, spoiled, spared, counters)

    assert spoiled.mismatches == spared.mismatches == 0
    assert 0 < spoiled.errors < spoiled.pages
    assert spared.errors == 0
    assert counters["protocol_errors"] > 0
    assert counters["load_error_corrupt"] > 0
    for name, console in consoles.items():
        assert kernel_reports(console.text(before[name])) == [], name

    assert {"victim", "domU1", "domU2"} <= set(pages.store("status")["connected"])
    with pages.held("victim", 500, "text", seed=71, pageout=True) as (job, held):
        assert held["swapped_kib"] > 4 * 500 * 0.9
        assert pages.bring_back(job)["mismatches"] == 0
    assert pages.store("verify")["problems"] == []
    # what lies about kept pages have left in the store goes with the domain
    machine.destroy_domain("victim", Deadline.after(60))
    machine.create_domain("victim", Deadline.after(180))
