"""The table of work that swaps in different ways: a row for each variant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.table import Table

from orchestrator.experiment.workload import MAKING
from orchestrator.results.known import if_all_known
from orchestrator.results.stream_table import swap_table
from orchestrator.results.summary import DomainSummary, Summary, VariantSummary
from orchestrator.results.words import MISSING, percent, whole

__all__ = ["COLUMNS", "BaselineRow", "BaselineTable", "baseline_rows", "compares_swaps"]

COLUMNS = (
    "domUs, MiB",
    "time, s",
    "pages out",
    "pages in",
    "dom0 CPU, s",
    "swapped, KB",
    "payload, KB",
    "in domUs, KB",
    "in dom0, KB",
    "reduction",
    "net",
)
ROOM = (8, 7, 9, 9, 7, 8, 8, 8, 8, 9, 7)
"""For a figure and the longest word above it, in characters."""
SPENT = 5
"""How many columns are of time and pages; the others are of memory, and go below them on
a terminal that is too narrow for all."""
NAME_ROOM = 24
"""For a variant's title beside all columns; a longer one is folded."""


def compares_swaps(summary: Summary) -> bool:
    """Whether domUs do the same work and swap elsewhere than to the store, in some variant."""
    others = any(variant.swap != "pageshare" for variant in summary.variants)
    return summary.workload == "working-set" or (summary.workload in MAKING and others)


@dataclass(frozen=True)
class BaselineRow:
    """One variant's figures, as text in the order of ``COLUMNS``."""

    title: str
    good: bool
    figures: tuple[str, ...]


@dataclass(frozen=True)
class BaselineTable:
    """Time, pages, and where how much memory is spent on them."""

    summary: Summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        wide = NAME_ROOM + sum(room + 2 for room in ROOM) <= options.max_width
        parts = [slice(None)] if wide else [slice(SPENT), slice(SPENT, None)]
        title: str | None = f"{self.summary.experiment}: run {self.summary.run_id}"
        for part in parts:
            yield self._table(title, part)
            title = None

    def _table(self, title: str | None, part: slice) -> Table:
        rows = list(baseline_rows(self.summary.variants))
        columns = list(zip(COLUMNS, ROOM, strict=True))[part]
        table = swap_table(title, [row.title for row in rows], columns)
        for row in rows:
            table.add_row(row.title, *row.figures[part], style="" if row.good else "red")
        return table


def baseline_rows(variants: Sequence[VariantSummary]) -> Iterator[BaselineRow]:
    """One a variant. Swapped is all that is out at the peak, kept in memory or not."""
    for one in variants:
        yield BaselineRow(
            title=one.title or one.name,
            good=one.verdict == one.expect,
            figures=(
                _memory(one.domains),
                _longest(one.domains),
                whole(_total(one.domains, "swapped_out_pages")),
                whole(_total(one.domains, "swapped_in_pages")),
                MISSING if one.dom0_cpu_seconds is None else f"{one.dom0_cpu_seconds:,.1f}",
                _kilobytes(_total(one.domains, "swapped_bytes_at_peak")),
                _kilobytes(one.payload_bytes),
                _kilobytes(one.frontend_bytes),
                _kilobytes(one.store_footprint_bytes),
                percent(one.reduction),
                percent(one.net_reduction),
            ),
        )


def _memory(domains: Sequence[DomainSummary]) -> str:
    """``2 x 136``: how many domUs there are, and how much memory each has."""
    sizes = {domain.memory_mib for domain in domains}
    size = sizes.pop() if len(sizes) == 1 else None
    return MISSING if size is None else f"{len(domains)} x {size}"


def _longest(domains: Sequence[DomainSummary]) -> str:
    """Until the last domU was done, by its own clock."""
    longest = if_all_known(max, (domain.workload_seconds for domain in domains))
    return MISSING if longest is None else f"{longest:,.1f}"


def _total(domains: Sequence[DomainSummary], name: str) -> float | None:
    return if_all_known(sum, (getattr(domain, name) for domain in domains))


def _kilobytes(value: float | None) -> str:
    return whole(None if value is None else value / 1024)
