"""How far one arm is from the other: Hodges-Lehmann, its interval, and the test's p.

The interval has every shift that the test would not reject. Without ties its
confidence is exactly what the ranks allow, at least the one asked for; with ties
it is more. No outlier is removed: ranks bear them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.compare.ranks import (
    Floats,
    doubled_ranks,
    outcomes_within,
    rank_sum_chances,
    signed_rank_chances,
    two_sided,
)

__all__ = ["Shift", "paired_shift", "unpaired_shift"]


@dataclass(frozen=True)
class Shift:
    """In the unit of the differences."""

    estimate: float
    low: float | None
    """None, as ``high``: there are too few samples for an interval at this level."""
    high: float | None
    p: float


def paired_shift(differences: Floats, level: float) -> Shift:
    """Wilcoxon's signed ranks, at least one difference.

    Pairs that are equal take their place in the ranks and then count for neither
    side (Pratt): dropped beforehand, a hundred equal pairs would say nothing
    against six that are not.
    """
    count, moved = len(differences), differences != 0
    if not moved.any():
        return Shift(0.0, 0.0, 0.0, 1.0)
    ranks = doubled_ranks(np.abs(differences))
    chances = signed_rank_chances(tuple(sorted(ranks[moved].tolist())))
    p = two_sided(chances, int(ranks[differences > 0].sum()))
    rows, columns = np.triu_indices(count)
    walsh = np.sort((differences[rows] + differences[columns]) / 2)
    untied = signed_rank_chances(tuple(range(2, 2 * count + 1, 2)))[::2]
    return _inverted(walsh, outcomes_within(untied, level / 2), p)


def unpaired_shift(differences: Floats, pooled: Floats, level: float) -> Shift:
    """Mann-Whitney.

    Args:
        differences: a row for each sample of the base, a column for each other one.
        pooled: the samples themselves, the base's first.
        level: two-sided.
    """
    base, other = differences.shape
    if not differences.any():
        return Shift(0.0, 0.0, 0.0, 1.0)
    ranks = doubled_ranks(pooled)
    chances = rank_sum_chances(tuple(sorted(ranks.tolist())), other)
    p = two_sided(chances, int(ranks[base:].sum()))
    untied = rank_sum_chances(tuple(range(2, 2 * (base + other) + 1, 2)), other)
    least = other * (other + 1)
    within = outcomes_within(untied[least::2], level / 2)
    return _inverted(np.sort(differences, axis=None), within, p)


def _inverted(ordered: Floats, within: int, p: float) -> Shift:
    estimate = float(np.median(ordered))
    if within == 0:
        return Shift(estimate, None, None, p)
    return Shift(estimate, float(ordered[within - 1]), float(ordered[-within]), p)
