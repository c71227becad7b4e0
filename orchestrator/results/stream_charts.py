"""The report's picture of page streams: bars for each kind of swap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from orchestrator.results.charts import DOM0_COLOUR, DOMU_COLOURS, INK, empty, svg_of
from orchestrator.results.stream_table import stream_rows
from orchestrator.results.summary import VariantSummary
from orchestrator.results.words import microseconds, whole

__all__ = ["stream_svg"]

WIDTH = 380
OUT, IN = "page-out", "page-in"


def stream_svg(variants: Sequence[VariantSummary]) -> str:
    """Pages a second and median latency side by side, out and in."""
    rates = _rows(variants, "per_second", whole)
    medians = _rows(variants, "median_microseconds", microseconds)
    if not rates and not medians:
        return svg_of(empty("no pages went out and came back"))
    left = _bars(rates, "pages a second (more is better)")
    right = _bars(medians, "median of one page, µs (less is better)")
    return svg_of(alt.hconcat(left, right, spacing=40))


def _rows(variants: Sequence[VariantSummary], figure: str, shown: Any) -> list[dict[str, Any]]:
    rows = []
    for name, figures in stream_rows(variants):
        for way, prefix in ((OUT, "out"), (IN, "in")):
            value = getattr(figures, f"{prefix}_{figure}", None)
            if value is not None:
                rows.append({"swap": name, "way": way, "value": value, "text": shown(value)})
    return rows


def _bars(rows: Sequence[dict[str, Any]], title: str) -> Any:
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        y=alt.Y("swap:N", sort=None, title=None, axis=alt.Axis(labelLimit=160, labelFontSize=12)),
        yOffset=alt.YOffset("way:N", sort=[OUT, IN]),
        x=alt.X("value:Q", title=title, axis=alt.Axis(format=",d", tickCount=4)),
    )
    bars = base.mark_bar().encode(
        color=alt.Color(
            "way:N",
            scale=alt.Scale(domain=[OUT, IN], range=[DOMU_COLOURS[0], DOM0_COLOUR]),
            legend=alt.Legend(title=None, orient="top", symbolType="square"),
        )
    )
    text = base.mark_text(align="left", dx=4, color=INK, fontSize=11).encode(text="text:N")
    return alt.layer(bars, text).properties(width=WIDTH, height=alt.Step(22))
