"""Latencies as a domU sees them, from the frontend's histogram in debugfs.

The file has a header and a line a bucket, ``nanoseconds stores loads``: the
bucket's lower bound, and how many operations fell into it. Buckets are four to
the octave, so that a quantile is known to about a fifth; inside a bucket it is
interpolated.
"""

from __future__ import annotations

from orchestrator.errors import InfrastructureError

__all__ = ["histogram_quantile", "parse_latency"]

HEADER = "nanoseconds stores loads"
Histogram = list[tuple[int, int]]
"""(lower bound in ns, count), by rising bound."""


def parse_latency(text: str) -> tuple[Histogram, Histogram]:
    """The histograms of stores and of loads.

    Raises:
        InfrastructureError: not the frontend's format.
    """
    lines = text.strip().splitlines()
    if not lines or lines[0] != HEADER:
        raise InfrastructureError(f"latency histogram: expected {HEADER!r}, found {lines[:1]}")
    rows = [[int(field) for field in line.split()] for line in lines[1:]]
    stores = [(row[0], row[1]) for row in rows if row[1]]
    loads = [(row[0], row[2]) for row in rows if row[2]]
    return stores, loads


def histogram_quantile(histogram: Histogram, quantile: float) -> float | None:
    """Nanoseconds below which the share ``quantile`` of operations lies; None of none."""
    total = sum(count for _, count in histogram)
    if not total:
        return None
    rank = quantile * total
    seen = 0
    for floor, count in histogram:
        if seen + count >= rank:
            return floor + _width(floor) * (rank - seen) / count
        seen += count
    raise AssertionError("unreachable: the last bucket completes the total")


def _width(floor: int) -> int:
    """Nanoseconds that a bucket spans: a quarter of its octave; the first one all below 1 us."""
    return 1024 if floor == 0 else 1 << (floor.bit_length() - 3)
