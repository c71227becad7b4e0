"""Chances of rank sums, exact with ties too: what both tests and both intervals are made of.

scipy has these sums for ranks without ties alone; with ties it takes seconds (all
permutations) or is approximate, and then calls 3 equal samples against 3 others
significant (p 0.047; exact: 0.1). Ties are the rule here: runs that repeat, and
resamplings. Ranks are doubled, as tied ones are halves, and the chances hold for
the ranks as they are.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

__all__ = [
    "SLACK",
    "Floats",
    "doubled_ranks",
    "outcomes_within",
    "rank_sum_chances",
    "signed_rank_chances",
    "two_sided",
]

Floats: TypeAlias = NDArray[np.float64]

SLACK = 1 + 1e-9
"""A chance that is the level exactly must not be lost to the last bit of a sum."""

MOST_EXACT = 200
"""Samples of both arms that are counted out; of more, in gigabytes, the sums are normal."""


def doubled_ranks(values: Floats) -> NDArray[np.int64]:
    """Twice the rank of each value, ties sharing theirs: whole numbers from 2."""
    doubled: NDArray[np.int64] = np.rint(2 * rankdata(values)).astype(np.int64)
    return doubled


@lru_cache(maxsize=64)
def signed_rank_chances(ranks: tuple[int, ...]) -> Floats:
    """Chance of each sum (its index) of the ranks with a plus, if every sign is a coin's."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1
    for rank in ranks:
        with_plus = np.zeros_like(chances)
        with_plus[rank:] = chances[:-rank]
        chances = (chances + with_plus) / 2
    return chances


@lru_cache(maxsize=64)
def rank_sum_chances(ranks: tuple[int, ...], size: int) -> Floats:
    """Chance of each sum (its index) of ``size`` of the ranks, if every choice is as likely."""
    if len(ranks) > MOST_EXACT:
        return _normal(ranks, size)
    ways = np.zeros((size + 1, sum(ranks) + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    chances: Floats = ways[size] / ways[size].sum()
    return chances


def _normal(ranks: tuple[int, ...], size: int) -> Floats:
    count, step = len(ranks), math.gcd(*ranks)
    mean, variance = size * np.mean(ranks), size * (count - size) * np.var(ranks) / (count - 1)
    sums = np.arange(0, sum(ranks) + 1, step)
    borders = np.append(sums - step / 2, sums[-1] + step / 2)
    chances = np.zeros(sum(ranks) + 1)
    chances[::step] = np.diff(ndtr((borders - mean) / np.sqrt(variance)))
    return chances


def two_sided(chances: Floats, seen: int) -> float:
    """p of a sum as far out as ``seen``, on either side."""
    below, above = chances[: seen + 1].sum(), chances[seen:].sum()
    return float(min(1.0, 2 * min(below, above)))


def outcomes_within(chances: Floats, tail: float) -> int:
    """How many of the lowest outcomes have no more than the chance ``tail`` together."""
    return int(np.searchsorted(np.cumsum(chances), tail * SLACK, side="right"))
