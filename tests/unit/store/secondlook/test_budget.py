"""What the second look may take of dom0."""

from __future__ import annotations

import pytest

from testbed.store.secondlook.budget import Budget


class Clocks:
    """Time that passes, and CPU time that is used, when a test says so."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0

    def budget(self, share: float, pages: float) -> Budget:
        return Budget(share, pages, lambda: self.now, lambda: self.cpu)

    def look(self, budget: Budget, seconds: float) -> None:
        with budget.page():
            self.cpu += seconds
            self.now += seconds


def looks_in(clocks: Clocks, budget: Budget, seconds: float, each: float) -> int:
    count = 0
    end = clocks.now + seconds
    while clocks.now < end:
        wait = budget.wait()
        if wait:
            clocks.now += wait
        else:
            clocks.look(budget, each)
            count += 1
    return count


@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
def test_it_takes_its_share_of_a_cpu(share):
    clocks = Clocks()
    budget = clocks.budget(share, 1e6)
    looks_in(clocks, budget, 100.0, each=0.004)
    assert budget.spent_seconds == pytest.approx(100 * share, rel=0.02)


def test_it_looks_at_no_more_pages_a_second():
    clocks = Clocks()
    assert looks_in(clocks, clocks.budget(1.0, 50), 20.0, each=0.0001) == pytest.approx(
        1000, abs=20
    )


def test_a_long_idle_time_is_not_made_up_for():
    clocks = Clocks()
    budget = clocks.budget(0.1, 1e6)
    looks_in(clocks, budget, 5.0, each=0.001)
    clocks.now += 3600.0
    count = 0
    while not budget.wait():
        clocks.look(budget, 0.001)
        count += 1
    assert count < 40


def test_one_page_that_takes_long_is_paid_back():
    clocks = Clocks()
    budget = clocks.budget(0.1, 1e6)
    clocks.now += 10.0
    assert budget.wait() == 0
    clocks.look(budget, 1.0)
    assert budget.wait() == pytest.approx(10.0, rel=0.15)
