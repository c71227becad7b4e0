"""The samples of one metric in both arms, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from orchestrator.compare.metric import Metric
from orchestrator.compare.model import Arm, Design
from orchestrator.compare.ranks import Floats
from orchestrator.compare.scale import Scale, choose_scale
from orchestrator.compare.shift import Shift, paired_shift, unpaired_shift

__all__ = ["Distance", "Samples", "distance", "samples_of"]


@dataclass(frozen=True)
class Samples:
    """What there is of one metric; of the paired design, pair by pair."""

    base: Floats
    other: Floats
    only_base: tuple[int, ...] = ()
    """Seeds without a partner, which are not among the samples."""
    only_other: tuple[int, ...] = ()


@dataclass(frozen=True)
class Distance:
    """Of the other arm from the base, in the unit of ``scale``'s differences."""

    scale: Scale
    shift: Shift
    variance: float | None
    """Of one difference: of the pairs', or the sum of both arms'. None of a single one."""
    all_equal: bool


def samples_of(metric: Metric, base: Arm, other: Arm, design: Design) -> Samples | None:
    """None where neither arm has the figure.

    Raises:
        ValueError: a figure that is not finite.
    """
    ours, theirs = _figures(metric, base), _figures(metric, other)
    if not ours and not theirs:
        return None
    if design == "unpaired":
        return Samples(_array(ours.values()), _array(theirs.values()))
    pairs = sorted(ours.keys() & theirs.keys())
    return Samples(
        _array(ours[seed] for seed in pairs),
        _array(theirs[seed] for seed in pairs),
        tuple(sorted(ours.keys() - theirs.keys())),
        tuple(sorted(theirs.keys() - ours.keys())),
    )


def distance(samples: Samples, design: Design, level: float) -> Distance | None:
    """None where an arm has no samples."""
    base, other = samples.base, samples.other
    if not len(base) or not len(other):
        return None
    scale = choose_scale(base, other)
    if design == "paired":
        differences = scale.differences(base, other)
        shift = paired_shift(differences, level)
        variance = _variance(differences)
    else:
        differences = scale.differences(base[:, None], other[None, :])
        shift = unpaired_shift(differences, np.concatenate([base, other]), level)
        # One sample taken from all of an arm moves them alike: their variance stays.
        variance = _variance(differences[:, 0], differences[0])
    return Distance(scale, shift, variance, not differences.any())


def _variance(*arms: Floats) -> float | None:
    if min(map(len, arms)) < 2:
        return None
    return sum(float(np.var(arm, ddof=1)) for arm in arms)


def _figures(metric: Metric, arm: Arm) -> dict[int, float]:
    found = {}
    for seed, figures in arm.items():
        value = figures.get(metric.name)
        if value is not None:
            if not math.isfinite(value):
                raise ValueError(f"{metric.name} of seed {seed}: {value} is not a finite number")
            found[seed] = float(value)
    return found


def _array(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)
