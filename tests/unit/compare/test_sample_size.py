"""How many samples are needed: by counting outcomes, and against trying."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.compare import Criteria, compare, smallest_samples
from orchestrator.compare.sample_size import needed_samples
from tests.unit.compare.arms import TIME, noisy

SPREAD = 0.009


@pytest.mark.parametrize(("metrics", "pairs", "arms"), [(1, 6, 4), (2, 7, 5), (9, 9, 6)])
def test_below_the_smallest_number_nothing_can_be_significant(metrics, pairs, arms):
    assert smallest_samples("paired", 0.05, metrics) == pairs
    assert 2 / 2**pairs <= 0.05 / metrics < 2 / 2 ** (pairs - 1)
    assert smallest_samples("unpaired", 0.05, metrics) == arms
    least = 2 * metrics / 0.05
    assert math.comb(2 * arms - 2, arms - 1) < least <= math.comb(2 * arms, arms)


def test_a_p_of_the_level_itself_is_enough():
    assert smallest_samples("paired", 2 / 2**6, 1) == 6


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_what_is_needed_is_enough_as_often_as_asked_for(design):
    random = np.random.default_rng(1)
    count = needed_samples(2 * SPREAD**2, math.log(1.01), Criteria(), smallest=1)
    for change, verdict in ((0.0, "no change"), (0.0201, "worse")):
        every = [
            compare(
                noisy(random, count, SPREAD),
                noisy(random, count, SPREAD, change),
                design=design,
                metrics=[TIME],
            )
            for _ in range(250)
        ]
        reached = sum(one.results[0].verdict == verdict for one in every) / len(every)
        assert reached > 0.8 - 2 * (0.8 * 0.2 / 250) ** 0.5
        if not change:
            assert reached < 0.92, "so many would not be needed"


def test_the_number_does_not_fall_below_the_tests_own():
    assert needed_samples(1e-12, 0.01, Criteria(), smallest=9) == 9
    assert needed_samples(None, 0.01, Criteria(), smallest=9) == 9


def test_a_worked_example():
    # (1.960 + 1.282)^2 for 95 % and 80 %, a spread of four effects, pi / 3 for ranks,
    # 1.960^2 / 2 for a spread that is itself estimated.
    assert needed_samples(0.04**2, 0.01, Criteria(), 1) == math.ceil(10.507 * 16 * 1.0472 + 1.921)


def test_half_the_effect_asks_for_four_times_the_samples():
    one, half = (needed_samples(0.01, effect, Criteria(), 1) for effect in (0.01, 0.005))
    assert half == pytest.approx(4 * one, rel=0.01)
