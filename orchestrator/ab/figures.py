"""From a run's summary to the samples of its arms."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from orchestrator.ab.plan import repetition_of
from orchestrator.compare import METRICS, Arm, Design, Metric
from orchestrator.experiment.workload import MAKING
from orchestrator.results.known import if_all_known
from orchestrator.results.summary import DomainSummary, Summary, VariantSummary

__all__ = ["METRICS_OF", "arms_of", "design_of", "figures_of", "metrics_of"]

_OF_MAKING = frozenset(
    {
        "guest_seconds",
        "pages_out",
        "pages_in",
        "payload_bytes",
        "footprint_bytes",
        "net_reduction",
        "load_median_microseconds",
    }
)
METRICS_OF: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(MAKING, _OF_MAKING),
    "working-set": frozenset(
        {"guest_seconds", "pages_out", "pages_in", "payload_bytes", "footprint_bytes"}
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


def design_of(summary: Summary) -> Design:
    """On a counted clock, repetitions of one number had one seed and are pairs."""
    return "paired" if summary.timing == "icount" else "unpaired"


def arms_of(summary: Summary) -> dict[tuple[str, int], Arm]:
    """By variant and number of patches: the figures of each repetition, by its number.

    A repetition that did not end well gives no figures.
    """
    arms: dict[tuple[str, int], dict[int, dict[str, float | None]]] = {}
    for one in summary.variants:
        found = repetition_of(one.name)
        if found and one.verdict == "OK":
            arms.setdefault((found.variant, found.patches), {})[found.number] = figures_of(one)
    return dict(arms)


def figures_of(variant: VariantSummary) -> dict[str, float | None]:
    """By the metric's name; None where the run has no such figure."""
    domains = variant.domains
    streams = [one.page_stream for one in domains if one.page_stream]
    return {
        "guest_seconds": if_all_known(max, (one.workload_seconds for one in domains)),
        "payload_bytes": variant.payload_bytes,
        "footprint_bytes": variant.footprint_bytes,
        "reduction": variant.reduction,
        "net_reduction": variant.net_reduction,
        "pages_out": if_all_known(sum, (one.swapped_out_pages for one in domains)),
        "pages_in": if_all_known(sum, (one.swapped_in_pages for one in domains)),
        "load_median_microseconds": if_all_known(fmean, map(_load, domains)),
        "out_per_second": if_all_known(fmean, (one.out_per_second for one in streams)),
        "in_per_second": if_all_known(fmean, (one.in_per_second for one in streams)),
    }


def _load(domain: DomainSummary) -> float | None:
    return domain.latency.load.median_microseconds if domain.latency.load else None
