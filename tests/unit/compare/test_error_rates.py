"""How often the verdict errs, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.compare import compare, error_rates
from tests.unit.compare.arms import SHARE, TIME, noisy


def test_the_same_seed_gives_the_same_rates():
    random = np.random.default_rng(1)
    base, other = noisy(random, 8, 0.02), noisy(random, 8, 0.02)
    first, again = (
        error_rates(base, other, design="paired", metrics=[TIME], draws=50, seed=4)
        for _ in range(2)
    )
    assert first == again
    assert first != error_rates(base, other, design="paired", metrics=[TIME], draws=50, seed=5)


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_arms_that_are_alike_are_seldom_told_apart(design):
    random = np.random.default_rng(2)
    base = {
        seed: {"time": 100 * np.exp(skew / 50), "share": 0.8 * np.exp(-skew / 60)}
        for seed, skew in enumerate(random.normal(size=10))
    }
    rates = error_rates(base, base, design=design, metrics=[TIME, SHARE], draws=400)
    assert rates.alike.any_claim <= 0.05
    for verdicts in rates.alike.verdicts.values():
        assert sum(verdicts.values()) == pytest.approx(1)


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_a_change_that_is_large_is_seen(design):
    random = np.random.default_rng(3)
    base, other = noisy(random, 10, 0.01), noisy(random, 9, 0.01, -0.1)
    rates = error_rates(base, other, design=design, metrics=[TIME], draws=100)
    assert rates.apart.verdicts == {"time": {"better": 1.0}}
    assert rates.apart.any_claim == 1


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_alike_are_runs_of_the_base_alone(design):
    still = {seed: {"time": 100.0} for seed in range(8)}
    spread = noisy(np.random.default_rng(5), 8, 0.2)
    rates = error_rates(still, spread, design=design, metrics=[TIME], draws=20)
    assert rates.alike.verdicts == {"time": {"no change": 1.0}}


def test_pairs_stay_together():
    base = {seed: {"time": 100.0 * 2**seed} for seed in range(8)}
    other = {seed: {"time": 103.0 * 2**seed} for seed in range(8)}
    rates = error_rates(base, other, design="paired", metrics=[TIME], draws=50)
    assert rates.apart.verdicts == {"time": {"worse": 1.0}}


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_where_nothing_changed_a_claim_is_as_rare_as_stated(design):
    # Afresh each time, without a smallest effect that could hide a test that errs.
    random = np.random.default_rng(4)
    every = [
        compare(noisy(random, 7, 0.2), noisy(random, 7, 0.2), design=design, metrics=[TIME])
        for _ in range(500)
    ]
    false = sum(one.results[0].significant for one in every) / len(every)
    assert false < 0.05 + 2 * (0.05 * 0.95 / 500) ** 0.5


def test_nothing_to_draw_from_is_an_error():
    base, other = {1: {"time": 1.0}}, {2: {"time": 1.0}}
    with pytest.raises(ValueError, match="no runs to draw from"):
        error_rates(base, other, design="paired")
