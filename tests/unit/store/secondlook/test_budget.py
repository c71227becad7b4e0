"""What the second look may take of dom0."""

from __future__ import annotations

import pytest

from testbed.store.secondlook.budget import Budget


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def budget(self, share: float, pages: float) -> Budget:
        return Budget(share, pages, lambda: self.now)

    def look(self, budget: Budget, seconds: float) -> None:
        with budget.page():
            self.now += seconds


def looks_in(clock: Clock, budget: Budget, seconds: float, each: float) -> int:
    count = 0
    end = clock.now + seconds
    while clock.now < end:
        wait = budget.wait()
        if wait:
            clock.now += wait
        else:
            clock.look(budget, each)
            count += 1
    return count


@pytest.mark.parametrize("share", [0.05, 0.25, 1.0])
def test_it_takes_its_share_of_a_cpu(share):
    clock = Clock()
    budget = clock.budget(share, 1e6)
    assert looks_in(clock, budget, 100.0, each=0.004) == budget.pages
    assert budget.spent_seconds == pytest.approx(100 * share, rel=0.02)


def test_it_looks_at_no_more_pages_a_second():
    clock = Clock()
    assert looks_in(clock, clock.budget(1.0, 50), 20.0, each=0.0001) == pytest.approx(1000, abs=20)


def test_a_long_idle_time_is_not_made_up_for():
    clock = Clock()
    budget = clock.budget(0.1, 1e6)
    looks_in(clock, budget, 5.0, each=0.001)
    clock.now += 3600.0
    count = 0
    while not budget.wait():
        clock.look(budget, 0.001)
        count += 1
    assert count < 40


def test_one_page_that_takes_long_is_paid_back():
    clock = Clock()
    budget = clock.budget(0.1, 1e6)
    clock.now += 10.0
    assert budget.wait() == 0
    clock.look(budget, 1.0)
    assert budget.wait() == pytest.approx(10.0, rel=0.15)
