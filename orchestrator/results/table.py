"""The result table for the terminal, beside the paper's own figures where it has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.results.baseline_table import BaselineTable, compares_swaps
from orchestrator.results.churn_table import churn_tables
from orchestrator.results.oracle import OracleFigures
from orchestrator.results.paper import PAPER
from orchestrator.results.stream_table import stream_table
from orchestrator.results.summary import Summary, VariantSummary
from orchestrator.results.words import MISSING, SECOND_LOOK_PARTS, kilobytes, percent, seconds

__all__ = ["result_table"]

FIRST = "at the peak of swapped pages"
FIRST_WIDTH = 33
"""Of the first column, its padding included: the longest name of a row sets it."""
PAPER_WIDTH = 13
NARROWEST, WIDEST = 11, 18
"""Of a variant's column, without its padding: its figures fit into the former."""


def result_table(summary: Summary) -> RenderableType:
    """A run's figures, by the kind of its workload, and its verdict.

    Print it with ``rich.print`` or a ``rich.console.Console``.
    """
    if summary.workload == "page-stream":
        return Group(stream_table(summary), _verdict(summary))
    if summary.workload == "churn":
        return Group(*churn_tables(summary), _verdict(summary))
    if compares_swaps(summary):
        return Group(BaselineTable(summary), _verdict(summary))
    return Group(_CompileTable(summary), _verdict(summary))


@dataclass(frozen=True)
class _CompileTable:
    """As many variants beside each other as the terminal has room for; the rest below."""

    summary: Summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        variants = self.summary.variants
        widest = max((_longest_word(one.title or one.name) for one in variants), default=0)
        column = max(NARROWEST, widest) + 2
        fit = max((options.max_width - FIRST_WIDTH - PAPER_WIDTH) // column, 1)
        for start in range(0, max(len(variants), 1), fit):
            title = f"{self.summary.experiment}: run {self.summary.run_id}" if not start else None
            yield _compile_table(title, variants[start : start + fit])


def _longest_word(title: str) -> int:
    return max(map(len, title.split()), default=0)


def _compile_table(title: str | None, variants: Sequence[VariantSummary]) -> Table:
    """Logical pages, payload, footprint, reduction with its parts, net: paper and variants."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(FIRST, no_wrap=True)
    table.add_column("paper", justify="right", style="dim", no_wrap=True)
    for variant in variants:
        name = variant.title or variant.name
        width = max(NARROWEST, _longest_word(name))
        table.add_column(name, justify="right", min_width=width, max_width=WIDEST, overflow="fold")
    _domain_rows(table, variants)
    _figure_rows(table, variants)
    return table


def _domain_rows(table: Table, variants: Sequence[VariantSummary]) -> None:
    names = list(dict.fromkeys(domain.name for one in variants for domain in one.domains))
    for index, name in enumerate(names):
        values = []
        for variant in variants:
            at_peak = (one.logical_bytes_at_peak for one in variant.domains if one.name == name)
            values.append(kilobytes(next(at_peak, None)))
        paper = PAPER.logical_kilobytes[index] * 1024 if index < 2 and len(names) == 2 else None
        table.add_row(f"{name}, swapped (logical)", kilobytes(paper), *values)


def _figure_rows(table: Table, variants: Sequence[VariantSummary]) -> None:
    def row(name: str, paper: str, values: list[str], style: str = "") -> None:
        table.add_row(Text(name, style=style), paper, *(Text(one, style=style) for one in values))

    paper_payload = kilobytes(PAPER.payload_kilobytes * 1024)
    row(
        "all domUs, swapped (logical)",
        kilobytes(PAPER.total_kilobytes * 1024),
        [kilobytes(one.logical_bytes) for one in variants],
    )
    row("dom0, payload", paper_payload, [kilobytes(one.payload_bytes) for one in variants])
    row("footprint (dom0 and domUs)", MISSING, [kilobytes(one.footprint_bytes) for one in variants])
    row("reduction", percent(PAPER.reduction), [percent(one.reduction) for one in variants], "bold")
    row("  same-filled pages", MISSING, [percent(one.same_filled) for one in variants])
    row("  compression", MISSING, [percent(one.compression) for one in variants])
    row("  sharing inside a domU", MISSING, [percent(one.sharing_within) for one in variants])
    row("  sharing between domUs", MISSING, [percent(one.sharing_between) for one in variants])
    for name, title in SECOND_LOOK_PARTS.items():
        if any(getattr(one, name) for one in variants):
            row(f"  {title}", MISSING, [percent(getattr(one, name)) for one in variants])
    row(
        "net reduction (of footprint)",
        MISSING,
        [percent(one.net_reduction) for one in variants],
        "bold",
    )
    row("coverage of all swapped pages", MISSING, [percent(one.coverage) for one in variants])
    if any(one.oracle for one in variants):
        _oracle_rows(row, variants)
    row("books closed", MISSING, [_yes(one.books_closed) for one in variants])
    row("objects equal", MISSING, [_yes(one.digests_equal) for one in variants])
    if any(one.faults for one in variants):
        struck = [f"{sum(one.faults.values())}" if one.faults else MISSING for one in variants]
        row("faults struck", MISSING, struck)
    names = list(dict.fromkeys(domain.name for one in variants for domain in one.domains))
    for name in names:
        row(f"{name}, time", MISSING, [_time(one, name) for one in variants])


def _oracle_rows(row: Callable[..., None], variants: Sequence[VariantSummary]) -> None:
    """What sharing saved when the oracle looked, and how much of what it could have."""

    def figure(name: str, of: Callable[[OracleFigures], str]) -> None:
        row(name, MISSING, [of(one.oracle) if one.oracle else MISSING for one in variants])

    figure("oracle, after", lambda seen: seconds(seen.seconds))
    figure("  swapped (logical) then", lambda seen: kilobytes(seen.logical_bytes))
    figure("  sharing saved", lambda seen: kilobytes(seen.saved_bytes))
    figure("  possible, equal pages", lambda seen: kilobytes(seen.exact.bytes))
    figure("    sharing efficiency", lambda seen: percent(seen.exact.efficiency))
    figure("  possible, pointers aside", lambda seen: kilobytes(seen.pointers.bytes))
    figure("    sharing efficiency", lambda seen: percent(seen.pointers.efficiency))


def _time(variant: VariantSummary, name: str) -> str:
    return next(
        (seconds(one.workload_seconds) for one in variant.domains if one.name == name), MISSING
    )


def _yes(value: bool | None) -> str:
    return MISSING if value is None else ("yes" if value else "NO")


def _verdict(summary: Summary) -> Text:
    good = summary.verdict == "OK"
    text = Text("verdict: ").append(summary.verdict, style="bold green" if good else "bold red")
    if summary.timing == "icount":
        text.append("\n  times are counted instructions of one CPU, not cycles", style="dim")
    if summary.guest_time_spread is not None:
        text.append(f"\n  repetitions lie {summary.guest_time_spread:.2%} apart at most")
    for reason in summary.reasons:
        text.append(f"\n  {reason}")
    for variant in summary.variants:
        if variant.expect != "OK" and variant.verdict == variant.expect:
            text.append(f"\n  {variant.name}: {variant.verdict}, as expected", style="dim")
        for warning in variant.warnings:
            text.append(f"\n  {variant.name}: note: {warning}", style="yellow")
    return text
