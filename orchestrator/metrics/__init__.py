"""What is measured: records of the store, samples of the machine, and what they say."""

from __future__ import annotations

from orchestrator.metrics.analysis import (
    BooksCheck,
    Decomposition,
    check_books,
    coverage_at,
    decompose,
    find_peak,
    swap_in_use,
)
from orchestrator.metrics.collector import Collector, StatisticsSource, VariantSamples
from orchestrator.metrics.records import (
    PAGE_SIZE,
    EventRecord,
    MarkRecord,
    Peak,
    parse_record,
)
from orchestrator.metrics.samples import Gap, GapKind, Sample
from orchestrator.metrics.series import Curve, Point, figure2_curves

__all__ = [
    "PAGE_SIZE",
    "BooksCheck",
    "Collector",
    "Curve",
    "Decomposition",
    "EventRecord",
    "Gap",
    "GapKind",
    "MarkRecord",
    "Peak",
    "Point",
    "Sample",
    "StatisticsSource",
    "VariantSamples",
    "check_books",
    "coverage_at",
    "decompose",
    "figure2_curves",
    "find_peak",
    "parse_record",
    "swap_in_use",
]
