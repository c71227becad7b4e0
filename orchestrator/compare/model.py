"""What goes into a comparison and what comes out of it; ``dataclasses.asdict`` is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from orchestrator.compare.metric import Metric

__all__ = ["Arm", "Comparison", "Criteria", "Design", "Interval", "MetricResult", "Verdict"]

Arm = Mapping[int, Mapping[str, float | None]]
"""The runs of one side: by seed (or number of the repetition), figures by metric's name.

A figure that could not be had is None or left out, never 0.
"""

Design = Literal["paired", "unpaired"]
"""Paired: both arms ran with the same seeds, on a clock that repeats. Unpaired: on the host's."""

Verdict = Literal["better", "worse", "changed", "no change", "unclear"]
"""``changed`` is of a metric whose direction says nothing. ``unclear``: neither shown to have
changed by more than the smallest effect, nor shown to have not."""


@dataclass(frozen=True)
class Criteria:
    """When a change counts: stated before the runs, and beside every verdict.

    Raises:
        ValueError: a share that is not between 0 and 1.
    """

    confidence: float = 0.95
    """Of each metric's interval; the rest is the level of the test, over all metrics (Holm)."""
    smallest_effect: float = 0.01
    """Relative: a change that is smaller does not matter."""
    power: float = 0.8
    """How often the number of samples that is told as needed shall be enough."""

    def __post_init__(self) -> None:
        for name in ("confidence", "smallest_effect", "power"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}: {value} is not between 0 and 1")

    @property
    def level(self) -> float:
        """Of the test: how often it may see a change that is none, over all metrics."""
        # Without the rounding 1 - 0.95 is more than 0.05.
        return round(1 - self.confidence, 12)


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``, relative to the base: 0.01 is 1 % more."""

    low: float
    high: float


@dataclass(frozen=True)
class MetricResult:
    """One metric, both arms. Medians are in the metric's unit, changes relative to the base."""

    metric: Metric
    base_samples: int
    other_samples: int
    """As many as ``base_samples`` where they are pairs."""
    base_median: float | None
    other_median: float | None
    change: float | None
    """Hodges-Lehmann. None without samples, and of one from a median of 0."""
    interval: Interval | None
    """At the confidence asked for, for this metric alone. None: too few samples for any,
    or from a median of 0."""
    p: float | None
    """Two-sided, of this metric alone. Exact, but for two arms with more than 200 samples."""
    p_holm: float | None
    """The same, adjusted for all metrics of the comparison."""
    significant: bool
    """By ``p_holm``; whether it is large enough to matter is the verdict's."""
    verdict: Verdict
    needed: int | None
    """Of ``unclear``: samples an arm that would settle it, as far as the spread seen can say.
    None where more than there are would not by themselves."""
    all_equal: bool
    """Every pair, or every sample of both arms, to twelve digits."""
    only_base: tuple[int, ...]
    """Seeds that have this figure in the base alone: left out, as pairs need both."""
    only_other: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """Every metric that has a figure in either arm, in the order that they were asked for."""

    design: Design
    criteria: Criteria
    results: tuple[MetricResult, ...]
    smallest_samples: int
    """Samples an arm below which no change can be significant after Holm, however large."""

    @property
    def regressions(self) -> tuple[MetricResult, ...]:
        """The metrics that became worse."""
        return tuple(one for one in self.results if one.verdict == "worse")
