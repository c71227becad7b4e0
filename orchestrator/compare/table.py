"""The terminal's table of a comparison: a row for each metric, and notes below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.compare.metric import Unit
from orchestrator.compare.model import Comparison, MetricResult, Verdict
from orchestrator.compare.sentences import notes, signed_percent, span
from orchestrator.results.words import MISSING, kilobytes, microseconds, percent, seconds, whole

__all__ = ["comparison_table"]

SHOWN: Mapping[Unit, Callable[[float | None], str]] = {
    "s": seconds,
    "µs": microseconds,
    "bytes": kilobytes,
    "pages": whole,
    "share": percent,
    "/s": whole,
}
STYLES: Mapping[Verdict, str] = {
    "better": "bold green",
    "worse": "bold red",
    "changed": "bold",
    "no change": "",
    "unclear": "yellow",
}


def comparison_table(
    comparison: Comparison, *, base: str = "base", other: str = "other"
) -> RenderableType:
    """Medians, change with its interval, p after Holm, which way is better, verdict; notes.

    Print it with ``rich.print`` or a ``rich.console.Console``.

    Args:
        comparison: what to show.
        base: the base arm's name.
        other: the other arm's name.
    """
    criteria = comparison.criteria
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("median of", no_wrap=True)
    for name in (base, other):
        table.add_column(name, justify="right", overflow="fold", max_width=14)
    table.add_column("change %", justify="right", width=6)
    table.add_column(f"{100 * criteria.confidence:.3g} % interval", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("better", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in comparison.results:
        table.add_row(*_cells(one))
    test = "Wilcoxon, pairs of one seed" if comparison.design == "paired" else "Mann-Whitney"
    said = (
        f"{test}; p after Holm; intervals are each metric's own;"
        f" smallest effect {100 * criteria.smallest_effect:.3g} %"
    )
    lines = [Text(said, style="dim"), *(Text(f"note: {one}") for one in notes(comparison))]
    return Group(table, *lines)


def _cells(one: MetricResult) -> list[str | Text]:
    shown = SHOWN[one.metric.unit]
    return [
        one.metric.title,
        shown(one.base_median),
        shown(one.other_median),
        signed_percent(one.change),
        span(one.interval),
        _p(one),
        MISSING if one.metric.better == "neither" else one.metric.better,
        Text(one.verdict, style=STYLES[one.verdict]),
    ]


def _p(one: MetricResult) -> Text:
    """Bold where it is significant."""
    if one.p_holm is None:
        return Text(MISSING)
    shown = "<.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    return Text(shown, style="bold" if one.significant else "")
