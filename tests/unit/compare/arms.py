"""Arms made up for the tests."""

from __future__ import annotations

import numpy as np

from orchestrator.compare import Metric

TIME = Metric("time", "time", "s", "lower")
SHARE = Metric("share", "share", "share", "higher")
PAGES = Metric("pages", "pages", "pages", "neither")


def arm(metric: Metric, values) -> dict[int, dict[str, float | None]]:
    """One metric's values as runs of the seeds 0, 1, ..."""
    return {seed: {metric.name: value} for seed, value in enumerate(values)}


def noisy(random: np.random.Generator, count: int, spread: float, change: float = 0.0):
    """Times about 100 s; ``change`` is relative."""
    return arm(TIME, 100 * (1 + change) * np.exp(random.normal(scale=spread, size=count)))
