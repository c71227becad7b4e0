"""The figures of a run without a store, at the moment of the most swapped pages.

The counterpart of ``analysis.py``, from samples of the kernels that keep the
pages. Clocks of several kernels are laid side by side at the workload's start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.metrics.analysis import Decomposition
from orchestrator.metrics.records import PAGE_SIZE
from orchestrator.metrics.swap import SwapSample

__all__ = ["DomainSwap", "SwapPeak", "decompose_swap", "find_swap_peak", "swap_moments"]


@dataclass(frozen=True)
class DomainSwap:
    """One domU's swapped pages at one moment, all places together."""

    swapped_pages: int
    """Slots in use, of all its swap devices."""
    logical_pages: int
    """Of those, what is kept compressed in memory anywhere."""
    same_filled_pages: int
    payload_bytes: int | None
    """Compressed; None where the kernel does not count them."""
    domu_bytes: int
    """Memory that they take in the domU."""
    dom0_bytes: int
    """Memory that they take in dom0."""


@dataclass(frozen=True)
class SwapPeak:
    """One moment of all domUs."""

    seconds: float
    """Since the workload's start."""
    domains: Mapping[str, DomainSwap]

    @property
    def logical_pages(self) -> int:
        """Of all domUs."""
        return sum(one.logical_pages for one in self.domains.values())

    @property
    def swapped_pages(self) -> int:
        """Of all domUs."""
        return sum(one.swapped_pages for one in self.domains.values())

    @property
    def coverage(self) -> float | None:
        """Kept in memory / swapped out; None where nothing is."""
        return self.logical_pages / self.swapped_pages if self.swapped_pages else None


def swap_moments(samples: Iterable[SwapSample]) -> Iterator[SwapPeak]:
    """One for each sample, in the order of time: it, and the newest of all others."""
    newest: dict[str, dict[str, SwapSample]] = {}
    for sample in sorted(samples, key=lambda one: one.seconds):
        newest.setdefault(sample.domain, {})[sample.place] = sample
        yield SwapPeak(sample.seconds, {name: _together(places) for name, places in newest.items()})


def find_swap_peak(samples: Sequence[SwapSample]) -> SwapPeak | None:
    """The first moment of the most logical pages; of the most swapped ones, if none are kept;
    where nothing is swapped at all, the first at which every domU has been looked at."""
    return max(
        swap_moments(samples),
        key=lambda moment: (moment.logical_pages, moment.swapped_pages, len(moment.domains)),
        default=None,
    )


def _together(places: Mapping[str, SwapSample]) -> DomainSwap:
    domu, dom0 = places.get("domU"), places.get("dom0")
    keeper = dom0 if dom0 is not None and dom0.kept_pages is not None else domu
    slots = (domu.slots_used_pages if domu else None) or 0
    kept = (keeper.kept_pages if keeper else None) or 0
    return DomainSwap(
        swapped_pages=slots,
        # dom0 is not told at once what a domU needs no more: it keeps more than is swapped
        logical_pages=min(kept, slots),
        same_filled_pages=min((keeper.same_filled_pages if keeper else None) or 0, kept, slots),
        payload_bytes=keeper.payload_bytes if keeper else None,
        domu_bytes=(domu.memory_bytes if domu else None) or 0,
        dom0_bytes=(dom0.memory_bytes if dom0 else None) or 0,
    )


def decompose_swap(peak: SwapPeak) -> Decomposition:
    """The reduction at the peak and its parts; sharing has none here."""
    domains = peak.domains.values()
    logical = peak.logical_pages * PAGE_SIZE
    same_filled = sum(one.same_filled_pages for one in domains) * PAGE_SIZE
    payloads = [one.payload_bytes for one in domains]
    known = [payload for payload in payloads if payload is not None]
    payload = sum(known) if known and len(known) == len(payloads) else None
    dom0 = sum(one.dom0_bytes for one in domains)
    domu = sum(one.domu_bytes for one in domains)

    def share(saved: int | None) -> float | None:
        return saved / logical if logical and saved is not None else None

    return Decomposition(
        logical_bytes=logical,
        payload_bytes=payload,
        store_footprint_bytes=dom0,
        frontend_bytes=domu,
        reduction=share(None if payload is None else logical - payload),
        same_filled=share(same_filled),
        compression=share(None if payload is None else logical - same_filled - payload),
        sharing_within=share(0),
        sharing_between=share(0),
        twins=share(0),
        near_twins=share(0),
        recompression=share(0),
        net_reduction=share(logical - dom0 - domu),
    )
