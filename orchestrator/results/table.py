"""The result table for the terminal, beside the paper's own figures."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.results.paper import PAPER
from orchestrator.results.summary import Summary, VariantSummary

__all__ = ["kilobytes", "percent", "result_table", "seconds"]

MISSING = "-"
"""What is shown for a figure that there is none of: never 0."""


def kilobytes(value: float | None) -> str:
    """Bytes as KB of 1024 bytes."""
    return MISSING if value is None else f"{value / 1024:,.0f} KB"


def percent(value: float | None) -> str:
    """A fraction as a percentage."""
    return MISSING if value is None else f"{value:.1%}".replace("%", " %")


def seconds(value: float | None) -> str:
    """Seconds with one digit."""
    return MISSING if value is None else f"{value:,.1f} s"


def result_table(summary: Summary) -> RenderableType:
    """Logical pages, payload, footprint, reduction with its parts, net: paper and variants.

    Print it with ``rich.print`` or a ``rich.console.Console``.
    """
    table = Table(
        title=f"{summary.experiment}: run {summary.run_id}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("at the MARK of the most swapped pages", no_wrap=True)
    table.add_column("paper", justify="right", style="dim")
    for variant in summary.variants:
        table.add_column(variant.title or variant.name, justify="right", max_width=18)
    _domain_rows(table, summary.variants)
    _figure_rows(table, summary.variants)
    return Group(table, _verdict(summary))


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
    row(
        "net reduction (of footprint)",
        MISSING,
        [percent(one.net_reduction) for one in variants],
        "bold",
    )
    row("coverage of all swapped pages", MISSING, [percent(one.coverage) for one in variants])
    row("books closed", MISSING, [_yes(one.books_closed) for one in variants])
    row("objects equal", MISSING, [_yes(one.digests_equal) for one in variants])
    names = list(dict.fromkeys(domain.name for one in variants for domain in one.domains))
    for name in names:
        row(f"{name}, guest time", MISSING, [_guest_time(one, name) for one in variants])


def _guest_time(variant: VariantSummary, name: str) -> str:
    return next(
        (seconds(one.guest_seconds) for one in variant.domains if one.name == name), MISSING
    )


def _yes(value: bool | None) -> str:
    return MISSING if value is None else ("yes" if value else "NO")


def _verdict(summary: Summary) -> Text:
    good = summary.verdict == "OK"
    text = Text("verdict: ").append(summary.verdict, style="bold green" if good else "bold red")
    for reason in summary.reasons:
        text.append(f"\n  {reason}")
    for variant in summary.variants:
        for warning in variant.warnings:
            text.append(f"\n  {variant.name}: note: {warning}", style="yellow")
    return text
