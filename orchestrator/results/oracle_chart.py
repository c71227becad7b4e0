"""The report's picture of the ceiling: bytes that sharing saved, and could have saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from orchestrator.results.charts import DOM0_COLOUR, DOMU_COLOURS, INK, svg_of
from orchestrator.results.summary import VariantSummary
from orchestrator.results.words import kilobytes

__all__ = ["ceiling_svg"]

WIDTH = 460
SAVED, EXACT, POINTERS = "saved", "possible: equal pages", "possible: equal but for pointers"
COLOURS = {SAVED: DOM0_COLOUR, EXACT: DOMU_COLOURS[0], POINTERS: DOMU_COLOURS[1]}


def ceiling_svg(variants: Sequence[VariantSummary]) -> str:
    """Three bars a variant that the oracle looked at."""
    rows = [
        {
            "variant": one.title or one.name,
            "what": what,
            "kb": value / 1024,
            "text": kilobytes(value),
        }
        for one in variants
        if one.oracle
        for what, value in (
            (SAVED, one.oracle.saved_bytes),
            (EXACT, one.oracle.exact.bytes),
            (POINTERS, one.oracle.pointers.bytes),
        )
    ]
    base: Any = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelLimit=200)),
        yOffset=alt.YOffset("what:N", sort=list(COLOURS)),
        x=alt.X("kb:Q", title="KB of payload", axis=alt.Axis(format=",d", tickCount=4)),
    )
    bars = base.mark_bar().encode(
        color=alt.Color(
            "what:N",
            scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
            legend=alt.Legend(title=None, orient="top", symbolType="square", labelLimit=260),
        )
    )
    text = base.mark_text(align="left", dx=4, color=INK, fontSize=11).encode(text="text:N")
    return svg_of(alt.layer(bars, text).properties(width=WIDTH, height=alt.Step(20)))
