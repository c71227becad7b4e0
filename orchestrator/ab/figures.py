"""From a run's summary to the samples of its arms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean

from orchestrator.compare import METRICS, Arm, Metric
from orchestrator.results.summary import DomainSummary, Summary, VariantSummary

__all__ = ["METRICS_OF", "arms_of", "figures_of", "metrics_of"]

_NAME = re.compile(r"(?P<variant>.+)-p(?P<patches>\d+)-r(?P<repetition>\d+)$")
METRICS_OF: Mapping[str, frozenset[str]] = {
    "kernel-compile": frozenset(
        {
            "guest_seconds",
            "pages_out",
            "pages_in",
            "payload_bytes",
            "footprint_bytes",
            "net_reduction",
            "load_median_microseconds",
        }
    ),
    "page-stream": frozenset(
        {"out_per_second", "in_per_second", "payload_bytes", "footprint_bytes"}
    ),
}
"""What is compared, by the kind of workload: chosen before any run, since each figure
more makes it harder to be sure of the others."""


def metrics_of(summary: Summary) -> list[Metric]:
    """In the order of the tables."""
    wanted = METRICS_OF.get(summary.workload, frozenset())
    return [metric for metric in METRICS if metric.name in wanted]


def arms_of(summary: Summary) -> dict[tuple[str, int], Arm]:
    """By variant and number of patches: the figures of each repetition, by its number.

    A repetition that did not end well gives no figures.
    """
    arms: dict[tuple[str, int], dict[int, dict[str, float | None]]] = {}
    for one in summary.variants:
        found = _NAME.match(one.name)
        if found and one.verdict == "OK":
            arm = arms.setdefault((found["variant"], int(found["patches"])), {})
            arm[int(found["repetition"])] = figures_of(one)
    return dict(arms)


def figures_of(variant: VariantSummary) -> dict[str, float | None]:
    """By the metric's name; None where the run has no such figure."""
    domains = variant.domains
    streams = [one.page_stream for one in domains if one.page_stream]
    return {
        "guest_seconds": _all(max, (one.workload_seconds for one in domains)),
        "payload_bytes": variant.payload_bytes,
        "footprint_bytes": variant.footprint_bytes,
        "reduction": variant.reduction,
        "net_reduction": variant.net_reduction,
        "pages_out": _all(sum, (one.swapped_out_pages for one in domains)),
        "pages_in": _all(sum, (one.swapped_in_pages for one in domains)),
        "load_median_microseconds": _all(fmean, map(_load, domains)),
        "out_per_second": _all(fmean, (one.out_per_second for one in streams)),
        "in_per_second": _all(fmean, (one.in_per_second for one in streams)),
    }


def _load(domain: DomainSummary) -> float | None:
    return domain.latency.load.median_microseconds if domain.latency.load else None


def _all(together: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    """None where a part of it is missing, or where there is none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return float(together(known)) if known and len(known) == len(found) else None
