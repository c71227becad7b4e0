"""Several tests at once: Holm's step-down, which holds whatever they have in common."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["holm"]


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p, in the order given: at most the level means significant among all of them."""
    adjusted = [1.0] * len(ps)
    largest = 0.0
    for done, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - done) * ps[index]))
        adjusted[index] = largest
    return adjusted
