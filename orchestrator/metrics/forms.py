"""What the store's payload is made of over time: pages by the form in which they are kept."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.metrics.samples import Sample
from orchestrator.metrics.series import KB, Curve, Point, dom0_clock_offset, origin

__all__ = ["AS_SENT", "form_curves"]

AS_SENT = "received"
"""The form of pages that are kept as they were sent."""


def form_curves(samples: Sequence[Sample]) -> list[Curve]:
    """KB kept in each form at every MARK; their sum is the payload.

    Empty where no page was ever kept in another form than it was sent in.
    """
    offset, zero = dom0_clock_offset(samples), origin(samples)
    marks = [mark for sample in samples for mark in sample.marks]
    used = {name for mark in marks for name, one in mark.table.forms.items() if one.entries}
    if offset is None or zero is None or not used:
        return []
    points: dict[str, list[Point]] = {AS_SENT: [], **{name: [] for name in sorted(used)}}
    for mark in marks:
        seconds = mark.dom0_seconds + offset - zero
        kept = {
            name: mark.table.forms[name].kept_bytes for name in used if name in mark.table.forms
        }
        rest = mark.table.payload_bytes - sum(kept.values())
        for name, line in points.items():
            line.append(Point(seconds, (rest if name == AS_SENT else kept.get(name, 0)) / KB))
    return [Curve(name, tuple(line)) for name, line in points.items()]
