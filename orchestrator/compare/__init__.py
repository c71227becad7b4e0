"""Two builds or settings against each other: what changed, how surely, and what was too few.

Pure: samples in, verdicts out. Runs are made and read elsewhere.
"""

from __future__ import annotations

from orchestrator.compare.arms import compare
from orchestrator.compare.error_rates import ErrorRates, Rates, error_rates
from orchestrator.compare.metric import METRICS, Direction, Metric
from orchestrator.compare.model import (
    Arm,
    Comparison,
    Criteria,
    Design,
    Interval,
    MetricResult,
    Verdict,
)
from orchestrator.compare.rates_table import rates_table
from orchestrator.compare.sample_size import smallest_samples
from orchestrator.compare.sentences import notes, sentence
from orchestrator.compare.table import comparison_table

__all__ = [
    "METRICS",
    "Arm",
    "Comparison",
    "Criteria",
    "Design",
    "Direction",
    "ErrorRates",
    "Interval",
    "Metric",
    "MetricResult",
    "Rates",
    "Verdict",
    "compare",
    "comparison_table",
    "error_rates",
    "notes",
    "rates_table",
    "sentence",
    "smallest_samples",
]
