"""How many samples an arm it takes: for the test to say anything, and to settle an effect."""

from __future__ import annotations

import math
from itertools import count
from statistics import NormalDist

from orchestrator.compare.model import Criteria, Design
from orchestrator.compare.ranks import SLACK

__all__ = ["can_be_significant", "needed_samples", "smallest_samples"]

LOSS = math.pi / 3
"""Samples that ranks need for one that means would need, if the spread is normal."""


def smallest_samples(design: Design, level: float, metrics: int) -> int:
    """Samples an arm, the same in both, below which ``can_be_significant`` is never true."""
    return next(
        samples
        for samples in count(1)
        if can_be_significant(design, samples, samples, level, metrics)
    )


def can_be_significant(design: Design, base: int, other: int, level: float, metrics: int) -> bool:
    """Whether the most extreme outcome of so many samples is, among so many metrics.

    Holm asks ``level / metrics`` of the smallest p, and the smallest there is are
    both tails of one outcome: of 2^n signs, or of all choices of one arm's ranks.
    """
    outcomes = 2**base if design == "paired" else math.comb(base + other, base)
    return outcomes >= 2 * max(metrics, 1) / (level * SLACK)


def needed_samples(variance: float | None, effect: float, criteria: Criteria, smallest: int) -> int:
    """With which, ``power`` of the time, an arm that did not change is seen as 'no change'.

    Then the interval lies wholly inside the smallest effect. A change of twice the
    smallest effect is seen outside it more often still. From the spread of few
    samples this is rough; outliers, which ranks bear, make it too high.

    Args:
        variance: of one difference: of the pairs' differences, or the sum of both arms'.
            None where there is no spread to see yet.
        effect: the smallest, in the same unit; 0 where the base has no size to be relative to.
        criteria: what is asked for.
        smallest: what ``smallest_samples`` says.
    """
    if variance is None or not effect:
        return smallest
    quantile = NormalDist().inv_cdf
    reach = quantile(1 - criteria.level / 2) + quantile((1 + criteria.power) / 2)
    # The spread is itself estimated: Guenther's correction of the normal's quantiles.
    unknown = quantile(1 - criteria.level / 2) ** 2 / 2
    return max(smallest, math.ceil(variance * LOSS * (reach / effect) ** 2 + unknown))
