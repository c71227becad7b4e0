"""The terminal's table of page streams: a row for each kind of swap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.table import Table

from orchestrator.results.outcome import PageStreamFigures
from orchestrator.results.summary import Summary, VariantSummary
from orchestrator.results.words import MISSING, whole

__all__ = ["stream_rows", "stream_table", "swap_table"]

COLUMNS = (
    "page-outs /s",
    "median µs",
    "99 % µs",
    "page-ins /s",
    "median µs",
    "99 % µs",
    "memory in domU, KB",
)
ROOM = (9, 7, 7, 8, 7, 7, 7)
"""For a figure and the longest word above it, in characters."""


def stream_table(summary: Summary) -> Table:
    """Pages a second, latencies and memory; one row a variant and domU."""
    rows = list(stream_rows(summary.variants))
    title = f"{summary.experiment}: run {summary.run_id}"
    table = swap_table(title, [name for name, _ in rows], zip(COLUMNS, ROOM, strict=True))
    for name, figures in rows:
        table.add_row(name, *_figures(figures))
    return table


def swap_table(
    title: str | None, names: Iterable[str], columns: Iterable[tuple[str, int]]
) -> Table:
    """An empty table of ways to swap.

    Args:
        names: of the rows; no word of them is broken.
        columns: each name, and its room in characters.
    """
    table = Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 0, 0, 1),
    )
    longest = max((len(word) for name in names for word in name.split()), default=0)
    table.add_column("swap", min_width=longest, overflow="fold")
    for name, room in columns:
        table.add_column(name, justify="right", width=room, overflow="fold")
    return table


def stream_rows(
    variants: Sequence[VariantSummary],
) -> Iterator[tuple[str, PageStreamFigures | None]]:
    """Each stream with its name: the variant's, and the domU's where there are several."""
    for variant in variants:
        title = variant.title or variant.name
        found = [(one.name, one.page_stream) for one in variant.domains if one.page_stream]
        for domain, figures in found:
            yield (f"{title}, {domain}" if len(found) > 1 else title), figures
        if not found:
            yield title, None


def _figures(found: PageStreamFigures | None) -> list[str]:
    if found is None:
        return [MISSING] * len(COLUMNS)
    kilobytes = None if found.memory_bytes is None else found.memory_bytes / 1024
    return [
        whole(found.out_per_second),
        whole(found.out_median_microseconds),
        whole(found.out_p99_microseconds),
        whole(found.in_per_second),
        whole(found.in_median_microseconds),
        whole(found.in_p99_microseconds),
        whole(kilobytes),
    ]
