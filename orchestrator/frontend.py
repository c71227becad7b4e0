"""What a domU's frontend says of itself: its counters, and how long stores and loads take."""

from __future__ import annotations

from orchestrator.deadline import Deadline
from orchestrator.machine import DomainHandle
from orchestrator.metrics.latency import Histogram, histogram_quantile, parse_latency
from orchestrator.results import Latency, LatencyFigures

__all__ = ["domain_counters", "domain_latency"]

FOLDER = "/sys/kernel/debug/pageshare"
_LATENCY = f"{FOLDER}/latency"
_COUNTERS = f"cd {FOLDER} && for f in *; do [ $f = latency ] || {{ read v <$f; echo $f $v; }}; done"
SECONDS = 60.0


def domain_counters(domain: DomainHandle) -> dict[str, int]:
    """By name, since it booted."""
    said = domain.ssh.run(_COUNTERS, deadline=Deadline.after(SECONDS)).stdout
    return {name: int(value) for name, value in map(str.split, said.splitlines())}


def domain_latency(domain: DomainHandle) -> Latency:
    """Since it booted, on its own clock."""
    text = domain.ssh.read_file(_LATENCY, deadline=Deadline.after(SECONDS))
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
