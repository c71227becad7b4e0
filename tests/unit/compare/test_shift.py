"""Estimates and intervals: those of the textbook, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.compare.shift import paired_shift
from tests.unit.compare.test_ranks import unpaired


def test_pairs_as_in_hollander_and_wolfe():
    # Nonparametric Statistical Methods, table 3.1: the Hamilton depression scale.
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    found = paired_shift(after - before, 0.05)
    assert found.p == pytest.approx(0.0390625)
    assert found.estimate == pytest.approx(-0.46)
    assert (found.low, found.high) == pytest.approx((-0.786, -0.010))


def test_two_arms_as_in_hollander_and_wolfe():
    # Table 4.1: permeability of a membrane, at term and earlier.
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    found = unpaired(early, term)
    assert found.p == pytest.approx(0.2544, abs=1e-4)
    assert found.estimate == pytest.approx(0.305)
    assert (found.low, found.high) == pytest.approx((-0.15, 0.76))


@pytest.mark.parametrize("count", [6, 12])
def test_the_interval_of_pairs_holds_the_truth_as_often_as_stated(count):
    random = np.random.default_rng(count)
    every = (paired_shift(random.standard_t(3, size=count) + 0.7, 0.05) for _ in range(600))
    held = sum(one.low <= 0.7 <= one.high for one in every)
    # Three standard errors below 95 %.
    assert held / 600 > 0.95 - 3 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.parametrize("counts", [(4, 4), (9, 7)])
def test_the_interval_of_two_arms_holds_the_truth_as_often_as_stated(counts):
    random = np.random.default_rng(counts[0])
    held = 0
    for _ in range(600):
        base, other = random.normal(size=counts[0]), random.normal(0.7, size=counts[1])
        one = unpaired(base, other)
        held += one.low <= 0.7 <= one.high
    assert held / 600 > 0.95 - 3 * (0.05 * 0.95 / 600) ** 0.5


def test_with_ties_the_interval_holds_the_truth_still():
    random = np.random.default_rng(8)
    every = (paired_shift(np.round(random.normal(size=8)) + 1, 0.05) for _ in range(600))
    assert sum(one.low <= 1 <= one.high for one in every) / 600 > 0.95


def test_too_few_samples_have_no_interval():
    five = paired_shift(np.array([1.0, 2, 3, 4, 5]), 0.05)
    assert (five.estimate, five.low, five.high) == (3, None, None)
    assert five.p == pytest.approx(0.0625)
    three = unpaired([1, 2, 3], [11, 12, 13])
    assert (three.estimate, three.low, three.high) == (10, None, None)


def test_an_outlier_stays_and_moves_little():
    differences = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.01, 1000])
    found = paired_shift(differences, 0.05)
    assert found.estimate == pytest.approx(1.0, abs=0.1)
    assert found.low > 0.9
