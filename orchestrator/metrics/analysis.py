"""From MARKs to figures. Pure: the same records always give the same figures.

All shares are fractions of the logical bytes, which are logical pages x 4096.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.metrics.records import PAGE_SIZE, DomainState, MarkRecord, TableState

__all__ = [
    "BooksCheck",
    "Decomposition",
    "check_books",
    "coverage_at",
    "decompose",
    "find_peak",
    "swap_in_use",
]


@dataclass(frozen=True)
class Decomposition:
    """The reduction at one MARK and the parts that it is made of, in their order.

    They are ``same_filled`` to ``recompression``, and sum to ``reduction``.
    All figures are None where nothing is swapped out: there is nothing to divide by.
    """

    logical_bytes: int
    payload_bytes: int | None
    """None where it is not counted."""
    store_footprint_bytes: int
    """In dom0: arena bytes reserved with their rounding, table, per-domain maps."""
    frontend_bytes: int | None
    """In all domUs: data pages and bookkeeping. None while a domU has not told."""
    reduction: float | None
    same_filled: float | None
    """Pages kept as one value."""
    compression: float | None
    """What is saved if every holder pays for its own compressed page."""
    sharing_within: float | None
    """Equal pages of one domU kept once."""
    sharing_between: float | None
    """Equal pages of several domUs kept once. A page that nobody holds any more but that
    others are kept beside counts here, against it."""
    twins: float | None
    """Pages that differ in their pointers only, kept as where these moved."""
    near_twins: float | None
    """Pages that differ in a little more, kept as that."""
    recompression: float | None
    """Cold pages, compressed once more."""
    net_reduction: float | None

    @property
    def footprint_bytes(self) -> int | None:
        """All memory spent, in dom0 and in every domU."""
        if self.frontend_bytes is None:
            return None
        return self.store_footprint_bytes + self.frontend_bytes


@dataclass(frozen=True)
class BooksCheck:
    """What became of the books over all MARKs of a variant."""

    marks: int
    """MARKs that were checked."""
    closed: bool | None
    """Every one closed; None where there was none to check."""
    first_open: MarkRecord | None
    """The first MARK at which they did not close."""


def find_peak(marks: Iterable[MarkRecord]) -> MarkRecord | None:
    """The first MARK at which the sum of logical pages over all domUs is largest."""
    return max(marks, key=lambda mark: mark.logical_pages, default=None)


def decompose(mark: MarkRecord) -> Decomposition:
    """The reduction at ``mark`` and its parts."""
    return _decompose(list(mark.domains.values()), mark.table)


def _decompose(domains: Sequence[DomainState], table: TableState) -> Decomposition:
    logical = sum(domain.logical_pages for domain in domains) * PAGE_SIZE
    # A domU that has not told yet counts with none in its logical pages, too.
    same_filled = sum(domain.same_filled_pages or 0 for domain in domains) * PAGE_SIZE
    held = sum(domain.held_pages for domain in domains) * PAGE_SIZE
    charged = sum(domain.charged_bytes for domain in domains)
    distinct = sum(domain.distinct_bytes for domain in domains)
    frontend = _sum_known(domain.frontend_bytes for domain in domains)
    payload = table.payload_bytes
    saved = {form: one.saved_bytes for form, one in table.forms.items()}

    def share(saved: int | None) -> float | None:
        return saved / logical if logical and saved is not None else None

    return Decomposition(
        logical_bytes=logical,
        payload_bytes=payload,
        store_footprint_bytes=table.footprint_bytes,
        frontend_bytes=frontend,
        reduction=share(logical - payload),
        same_filled=share(same_filled),
        compression=share(held - charged),
        sharing_within=share(charged - distinct),
        sharing_between=share(distinct - payload - sum(saved.values())),
        twins=share(saved.get("twin", 0)),
        near_twins=share(saved.get("near_twin", 0)),
        recompression=share(saved.get("recompressed", 0)),
        net_reduction=share(
            None if frontend is None else logical - table.footprint_bytes - frontend
        ),
    )


def _sum_known(values: Iterable[int | None]) -> int | None:
    """The sum, or None where a part of it is missing."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def swap_in_use(peak: MarkRecord, marks: Iterable[MarkRecord]) -> dict[str, tuple[int, int] | None]:
    """Per domU: pages kept by its frontend, and all its swap slots in use, at ``peak``.

    A domU's slots are known at its own MARKs only, while the store knows its
    references at every moment. So both figures are taken from its newest MARK
    up to the peak: from different moments, their quotient would flatter a domU
    whose swap grows. Where no such MARK arrived, the store's own copy is used;
    None where it has none.

    Args:
        marks: in the order in which they arrived. A store that was started anew
            numbers them from 0 again, so that only dom0's clock orders them; where
            that falls, another machine began, and what was before does not count.
    """
    newest: dict[str, MarkRecord] = {}
    found = {peak.domain: peak}
    before = float("-inf")
    for mark in marks:
        if mark.dom0_seconds < before:
            newest = {}
        before = mark.dom0_seconds
        if mark.dom0_seconds <= peak.dom0_seconds:
            newest[mark.domain] = mark
        if _same(mark, peak):
            break
    return {name: _slots(state, (newest | found).get(name)) for name, state in peak.domains.items()}


def _same(one: MarkRecord, other: MarkRecord) -> bool:
    return (one.sequence, one.dom0_seconds, one.domain) == (
        other.sequence,
        other.dom0_seconds,
        other.domain,
    )


def _slots(state: DomainState, mark: MarkRecord | None) -> tuple[int, int] | None:
    if mark is None:
        if state.swap_slots_used is None:
            return None
        return min(state.logical_pages, state.swap_slots_used), state.swap_slots_used
    counters = mark.counters
    kept = counters["held_pages"] + counters["same_filled_pages"]
    return kept, counters["swap_slots_used"]


def coverage_at(peak: MarkRecord, marks: Iterable[MarkRecord]) -> float | None:
    """Pages that the frontends keep / all pages swapped out, the swap disk's included.

    None where nothing is swapped out, or where a domU's swap slots are not known.
    """
    in_use = [slots for slots in swap_in_use(peak, marks).values() if slots is not None]
    if len(in_use) < len(peak.domains):
        return None
    slots = sum(all_slots for _, all_slots in in_use)
    # A page is counted as held when its request is queued, a slot when it is
    # freed: the two may be a few pages apart, but never more than all is covered.
    return min(sum(kept for kept, _ in in_use) / slots, 1.0) if slots else None


def check_books(marks: Iterable[MarkRecord]) -> BooksCheck:
    """Whether the books close at every MARK, by the figures and by the store's flag."""
    checked = 0
    first_open: MarkRecord | None = None
    for mark in marks:
        checked += 1
        if first_open is None and not (mark.books.closed and mark.books.agree):
            first_open = mark
    return BooksCheck(checked, first_open is None if checked else None, first_open)
