"""Rank sums: as scipy has them without ties, and as counting out has them with ties."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from orchestrator.compare import ranks
from orchestrator.compare.ranks import rank_sum_chances, signed_rank_chances, two_sided
from orchestrator.compare.shift import paired_shift, unpaired_shift


def unpaired(base, other, level=0.05):
    base, other = np.array(base, dtype=float), np.array(other, dtype=float)
    return unpaired_shift(other[None, :] - base[:, None], np.concatenate([base, other]), level)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 13, 30])
def test_without_ties_p_of_pairs_is_scipys(count):
    differences = np.random.default_rng(count).normal(0.4, size=count)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert paired_shift(differences, 0.05).p == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(1, 1), (3, 3), (4, 7), (12, 9)])
def test_without_ties_p_of_two_arms_is_scipys(counts):
    random = np.random.default_rng(counts[0])
    base, other = (random.normal(shift, size=size) for shift, size in zip((0, 1), counts, strict=1))
    expected = stats.mannwhitneyu(base, other, method="exact").pvalue
    assert unpaired(base, other).p == pytest.approx(expected)


def test_with_ties_every_sign_is_counted():
    tied = (2, 5, 5, 9, 9, 9)
    sums = [
        sum(r for r, plus in zip(tied, signs, strict=True) if plus)
        for signs in product((False, True), repeat=len(tied))
    ]
    expected = np.bincount(sums) / len(sums)
    assert signed_rank_chances(tied) == pytest.approx(expected)


def test_with_ties_every_choice_is_counted():
    tied = (3, 3, 7, 7, 7, 12, 14)
    sums = [sum(chosen) for chosen in combinations(tied, 3)]
    expected = np.bincount(sums, minlength=sum(tied) + 1) / len(sums)
    assert rank_sum_chances(tied, 3) == pytest.approx(expected)


def test_three_against_three_are_never_significant_however_tied():
    assert unpaired([1, 1, 1], [2, 2, 2]).p == pytest.approx(0.1)


def test_equal_pairs_weigh_against_a_change():
    some = np.array([1.0, 2, 3, 4, 5, 6, 7])
    alone = paired_shift(some, 0.05).p
    among_equals = paired_shift(np.concatenate([np.zeros(60), some]), 0.05)
    assert alone == pytest.approx(2 / 2**7)
    assert (among_equals.low, among_equals.high) == (0, 0)
    mixed = np.array([0.0, 0.0, 0.0, 0.0, 1, 1, -1, 1, 1])
    expected = stats.wilcoxon(
        mixed, zero_method="pratt", method=stats.PermutationMethod(n_resamples=np.inf)
    ).pvalue
    assert paired_shift(mixed, 0.05).p == pytest.approx(expected)


@pytest.mark.parametrize("tied", [False, True])
def test_beyond_counting_the_sums_are_normal(tied):
    values = np.random.default_rng(5).normal(size=60)
    doubled = ranks.doubled_ranks(np.round(values, 1) if tied else values)
    key = tuple(sorted(doubled.tolist()))
    exact, normal = rank_sum_chances(key, 25), ranks._normal(key, 25)
    assert np.cumsum(normal) == pytest.approx(np.cumsum(exact), abs=0.002)
    mean = int(np.sum(np.arange(len(exact)) * exact))
    assert two_sided(normal, mean - 300) == pytest.approx(two_sided(exact, mean - 300), rel=0.05)


def test_many_samples_take_the_normal_sums():
    random = np.random.default_rng(6)
    base, other = random.normal(size=150), random.normal(0.3, size=140)
    found = unpaired(base, other)
    expected = stats.mannwhitneyu(base, other, method="asymptotic").pvalue
    assert found.p == pytest.approx(expected, rel=1e-3)
    assert found.low < found.estimate < found.high
