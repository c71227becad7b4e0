"""The curves of Figure 2: each domU's swapped pages and dom0's payload over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.metrics.records import PAGE_SIZE, MarkRecord
from orchestrator.metrics.samples import Sample

__all__ = [
    "DOM0",
    "KB",
    "LOOK_BEGAN",
    "LOOK_ENDED",
    "STARTED",
    "Curve",
    "Point",
    "dom0_clock_offset",
    "figure2_curves",
    "thinned",
]

KB = 1024
DOM0 = "dom0"
STARTED = "workload-started"
LOOK_BEGAN, LOOK_ENDED = "look-began", "look-ended"
"""Notes around the oracle's look, during which the machine is held still."""


@dataclass(frozen=True)
class Point:
    """One value of a curve."""

    seconds: float
    """Since the workload's start; dom0's clock moved onto the host's."""
    kilobytes: float
    """1 KB = 1024 bytes, as a page is 4 KB."""


@dataclass(frozen=True)
class Curve:
    """One domain's curve: logical KB of a domU, or payload KB of dom0."""

    domain: str
    points: tuple[Point, ...]


def dom0_clock_offset(samples: Sequence[Sample]) -> float | None:
    """What to add to dom0's seconds to get the host's, or None without a MARK.

    A record is read some time after it was written, never before: the smallest
    difference seen is the closest.
    """
    return min(
        (
            sample.host_seconds - record.dom0_seconds
            for sample in samples
            for record in sample.records
        ),
        default=None,
    )


def origin(samples: Sequence[Sample]) -> float | None:
    """Host seconds at which the time axis begins: the workload's start, or the first sample."""
    started = (one.host_seconds for one in samples if one.note == STARTED)
    return next(started, samples[0].host_seconds if samples else None)


def seconds_of(mark: MarkRecord, samples: Sequence[Sample]) -> float | None:
    """A MARK's place on the time axis."""
    offset, zero = dom0_clock_offset(samples), origin(samples)
    return None if offset is None or zero is None else mark.dom0_seconds + offset - zero


def figure2_curves(samples: Sequence[Sample]) -> list[Curve]:
    """One curve a domU, sorted by name, and dom0's last. Empty without a MARK.

    A domU's curve has its logical pages (in the store, or kept as same-filled
    values); dom0's has the payload of the distinct pages held.
    """
    offset, zero = dom0_clock_offset(samples), origin(samples)
    if offset is None or zero is None:
        return []
    curves: dict[str, list[Point]] = {}
    payload: list[Point] = []
    for mark in (mark for sample in samples for mark in sample.marks):
        seconds = mark.dom0_seconds + offset - zero
        for name, state in mark.domains.items():
            logical = state.logical_pages * PAGE_SIZE / KB
            curves.setdefault(name, []).append(Point(seconds, logical))
        payload.append(Point(seconds, mark.table.payload_bytes / KB))
    if not payload:
        return []
    ordered = [Curve(name, tuple(curves[name])) for name in sorted(curves)]
    return [*ordered, Curve(DOM0, tuple(payload))]


def thinned(points: Sequence[Point], limit: int = 1500) -> list[Point]:
    """At most about ``limit`` points for a picture, every local extreme among them."""
    if len(points) <= limit:
        return list(points)
    width = 2 * len(points) / limit
    kept: list[Point] = [points[0]]
    for step in range(limit // 2):
        bucket = points[int(step * width) : int((step + 1) * width)]
        ends = (
            min(bucket, key=lambda point: point.kilobytes),
            max(bucket, key=lambda point: point.kilobytes),
        )
        kept += sorted(ends, key=lambda point: point.seconds)
    return [*kept, points[-1]]
