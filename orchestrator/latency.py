"""What a domU's frontend says of how long stores and loads take."""

from __future__ import annotations

from orchestrator.deadline import Deadline
from orchestrator.machine import DomainHandle
from orchestrator.metrics.latency import Histogram, histogram_quantile, parse_latency
from orchestrator.results import Latency, LatencyFigures

__all__ = ["domain_latency"]

FILE = "/sys/kernel/debug/pageshare/latency"
SECONDS = 60.0


def domain_latency(domain: DomainHandle) -> Latency:
    """Since it booted, on its own clock."""
    text = domain.ssh.read_file(FILE, deadline=Deadline.after(SECONDS))
    store, load = map(_figures, parse_latency(text))
    return Latency(store=store, load=load)


def _figures(histogram: Histogram) -> LatencyFigures:
    return LatencyFigures(
        count=sum(count for _, count in histogram),
        median_microseconds=_microseconds(histogram_quantile(histogram, 0.5)),
        p99_microseconds=_microseconds(histogram_quantile(histogram, 0.99)),
    )


def _microseconds(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1000
