"""How complete a variant's samples are, and how much the service did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from orchestrator.metrics.collector import VariantSamples
from orchestrator.metrics.records import MarkRecord
from orchestrator.metrics.samples import GapKind, Sample
from orchestrator.metrics.series import LOOK_BEGAN, LOOK_ENDED
from orchestrator.results.outcome import VariantOutcome
from orchestrator.results.summary import SamplingFigures, ServiceFigures

__all__ = ["sampling_figures", "service_figures"]


def sampling_figures(samples: VariantSamples) -> SamplingFigures:
    """Number of samples, their span, their gaps."""
    taken, gaps = samples.samples, samples.gaps
    lost = (gap.records or 0 for gap in gaps if gap.kind is GapKind.LOST)
    machine = [one.machine for one in taken if one.machine]
    dom0 = [one.dom0 for one in taken if one.dom0]
    return SamplingFigures(
        samples=len(taken),
        seconds=taken[-1].seconds - taken[0].seconds if taken else None,
        longest_interval_seconds=_longest_interval(taken),
        records_lost=sum(lost),
        gaps=dict(sorted(Counter(gap.kind.value for gap in gaps).items())),
        machine_bytes=max(_known(one.base_bytes for one in machine), default=None),
        dom0_total_bytes=max(_known(one.total_bytes for one in dom0), default=None),
        dom0_available_bytes_lowest=min(_known(one.available_bytes for one in dom0), default=None),
    )


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _longest_interval(samples: Sequence[Sample]) -> float | None:
    """Longest time between moments at which every source has been heard once more.

    While the oracle looks, the machine is held still: that is no time to be heard in.
    """
    moments: list[float] = []
    heard: set[str] = set()
    away = 0.0
    began: float | None = None
    for sample in samples:
        if sample.note == LOOK_BEGAN:
            began = sample.seconds
        elif sample.note == LOOK_ENDED and began is not None:
            away += sample.seconds - began
            began = None
        if began is not None:
            continue
        heard |= {"machine"} if sample.machine else set()
        heard |= {"dom0"} if sample.dom0 else set()
        heard |= {"store"} if sample.marks else set()
        if len(heard) == 3:
            moments.append(sample.seconds - away)
            heard.clear()
    steps = (after - before for before, after in pairwise(moments))
    return max(steps, default=None)


def service_figures(marks: Sequence[MarkRecord], outcome: VariantOutcome) -> ServiceFigures | None:
    """What the service did between the first and the last MARK; None with fewer than two.

    Where the service was started anew in between, its counts fell, and the
    figures are those since then.
    """
    since = 0
    for index in range(1, len(marks)):
        if marks[index].service.requests < marks[index - 1].service.requests:
            since = index
    if len(marks) - since < 2:
        return None
    first, last = marks[since].service, marks[-1].service
    requests = last.requests - first.requests
    busy = last.busy_seconds - first.busy_seconds
    return ServiceFigures(
        requests=requests,
        stores=last.stores - first.stores,
        loads=last.loads - first.loads,
        shared_hits=last.shared_hits - first.shared_hits,
        busy_seconds=busy,
        requests_per_busy_second=requests / busy if busy > 0 else None,
        rss_bytes=max(mark.service.rss_bytes for mark in marks),
        requests_per_second_one_domain=outcome.store_requests_per_second,
        looked_pages=last.looked_pages - first.looked_pages,
        look_seconds=last.look_seconds - first.look_seconds,
    )
