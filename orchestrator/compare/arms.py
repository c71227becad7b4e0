"""Two arms against each other, metric by metric. Pure: the same samples, the same verdicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.compare.holm import holm
from orchestrator.compare.measure import Distance, Samples, distance, samples_of
from orchestrator.compare.metric import METRICS, Metric
from orchestrator.compare.model import Arm, Comparison, Criteria, Design, Interval, MetricResult
from orchestrator.compare.ranks import SLACK, Floats
from orchestrator.compare.sample_size import needed_samples, smallest_samples
from orchestrator.compare.verdict import judge

__all__ = ["DEFAULTS", "compare"]

DEFAULTS = Criteria()


def compare(
    base: Arm,
    other: Arm,
    *,
    design: Design,
    criteria: Criteria = DEFAULTS,
    metrics: Sequence[Metric] = METRICS,
) -> Comparison:
    """Medians, changes with their intervals, and verdicts.

    A metric without a figure in either arm is not there, and costs the others nothing.

    Raises:
        ValueError: a figure that is not finite.
    """
    every = [(one, samples_of(one, base, other, design)) for one in metrics]
    found = [
        (metric, samples, distance(samples, design, criteria.level))
        for metric, samples in every
        if samples
    ]
    tested = [apart.shift.p for _, _, apart in found if apart]
    adjusted = iter(holm(tested))
    smallest = smallest_samples(design, criteria.level, len(tested))
    results = tuple(
        _result(metric, samples, apart, next(adjusted), criteria, smallest)
        if apart
        else _without(metric, samples, smallest)
        for metric, samples, apart in found
    )
    return Comparison(design, criteria, results, smallest)


def _result(
    metric: Metric,
    samples: Samples,
    apart: Distance,
    p_holm: float,
    criteria: Criteria,
    smallest: int,
) -> MetricResult:
    scale, shift = apart.scale, apart.shift
    significant = p_holm <= criteria.level * SLACK
    effect = scale.difference_of(criteria.smallest_effect)
    verdict = judge(shift, significant, effect, metric.better)
    low, high = scale.relative(shift.low), scale.relative(shift.high)
    needed = None
    if verdict == "unclear":
        needed = needed_samples(apart.variance, effect, criteria, smallest)
        if needed <= min(len(samples.base), len(samples.other)):
            needed = None
    return MetricResult(
        metric=metric,
        base_samples=len(samples.base),
        other_samples=len(samples.other),
        base_median=_median(samples.base),
        other_median=_median(samples.other),
        change=scale.relative(shift.estimate),
        interval=None if low is None or high is None else Interval(low, high),
        p=shift.p,
        p_holm=p_holm,
        significant=significant,
        verdict=verdict,
        needed=needed,
        all_equal=apart.all_equal,
        only_base=samples.only_base,
        only_other=samples.only_other,
    )


def _without(metric: Metric, samples: Samples, smallest: int) -> MetricResult:
    """One that cannot be compared: no pair, or nothing in one arm."""
    return MetricResult(
        metric=metric,
        base_samples=len(samples.base),
        other_samples=len(samples.other),
        base_median=_median(samples.base),
        other_median=_median(samples.other),
        change=None,
        interval=None,
        p=None,
        p_holm=None,
        significant=False,
        verdict="unclear",
        needed=smallest,
        all_equal=False,
        only_base=samples.only_base,
        only_other=samples.only_other,
    )


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if len(values) else None
