"""How often the verdict errs: the same comparison over resamplings of runs that were made.

Whole runs are drawn, with replacement, so that what the metrics of a run have in
common stays, and each draw is as large as the arms were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.compare.arms import DEFAULTS, compare
from orchestrator.compare.metric import METRICS, Metric
from orchestrator.compare.model import Arm, Comparison, Criteria, Design, Verdict

__all__ = ["ErrorRates", "Rates", "error_rates"]

CLAIMS: tuple[Verdict, ...] = ("better", "worse", "changed")


@dataclass(frozen=True)
class Rates:
    """Of the verdicts over all draws, from 0 to 1."""

    verdicts: Mapping[str, Mapping[Verdict, float]]
    """By metric; a verdict that never was is not there."""
    any_claim: float
    """Draws in which at least one metric was said to have changed."""


@dataclass(frozen=True)
class ErrorRates:
    """Beside a verdict: what the same procedure says where the truth is known."""

    draws: int
    seed: int
    alike: Rates
    """Both arms drawn from the base, each by itself: every claim is false."""
    apart: Rates
    """Each arm from its own runs; paired, a pair stays one."""


def error_rates(
    base: Arm,
    other: Arm,
    *,
    design: Design,
    criteria: Criteria = DEFAULTS,
    metrics: Sequence[Metric] = METRICS,
    draws: int = 1000,
    seed: int = 0,
) -> ErrorRates:
    """The rates of each verdict; the same seed gives the same.

    Paired and alike, two seeds of the base make a pair: such pairs are further
    apart than two runs of one seed, so that 'unclear' is likelier than it would be
    there, while a false claim is as rare as the criteria state.

    Raises:
        ValueError: no runs to draw from, or a figure that is not finite.
    """
    ours, theirs = sorted(base), sorted(other)
    if design == "paired":
        ours = theirs = sorted(base.keys() & other.keys())
    if not ours or not theirs or draws < 1:
        raise ValueError("error rates: there are no runs to draw from")
    random = np.random.default_rng(seed)

    def drawn(seeds: Sequence[int], size: int) -> list[int]:
        return [seeds[index] for index in random.integers(len(seeds), size=size)]

    def compared(pick: Callable[[], tuple[Arm, Arm]]) -> Rates:
        every = (
            compare(*pick(), design=design, criteria=criteria, metrics=metrics)
            for _ in range(draws)
        )
        return _rates(every, draws)

    def alike() -> tuple[Arm, Arm]:
        return (
            _runs(base, drawn(ours, len(ours))),
            _runs(base, drawn(ours, len(theirs))),
        )

    def apart() -> tuple[Arm, Arm]:
        chosen = drawn(ours, len(ours))
        partners = chosen if design == "paired" else drawn(theirs, len(theirs))
        return _runs(base, chosen), _runs(other, partners)

    return ErrorRates(draws, seed, compared(alike), compared(apart))


def _runs(arm: Arm, seeds: Sequence[int]) -> Arm:
    """Numbered anew: a run that is drawn twice is two."""
    return {number: arm[seed] for number, seed in enumerate(seeds)}


def _rates(every: Iterable[Comparison], draws: int) -> Rates:
    counts: dict[str, Counter[Verdict]] = {}
    claims = 0
    for comparison in every:
        for one in comparison.results:
            counts.setdefault(one.metric.name, Counter())[one.verdict] += 1
        claims += any(one.verdict in CLAIMS for one in comparison.results)
    verdicts = {
        name: {verdict: count / draws for verdict, count in found.items()}
        for name, found in counts.items()
    }
    return Rates(verdicts, claims / draws)
