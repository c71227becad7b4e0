"""The report's pictures, as SVG text that needs no network and no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from orchestrator.metrics.series import DOM0, Curve, thinned
from orchestrator.results.paper import PAPER
from orchestrator.results.summary import VariantSummary
from orchestrator.results.words import SECOND_LOOK_PARTS, percent

__all__ = [
    "DOM0_COLOUR",
    "DOMU_COLOURS",
    "INK",
    "Figure2",
    "decomposition_svg",
    "empty",
    "figure2_png",
    "figure2_svg",
    "histogram_svg",
    "in_pairs",
    "svg_of",
]

Picture = Any
"""One of altair's chart classes."""

INK, MUTED, GRID, PAPER_INK = "#1d2733", "#5d6b7a", "#e4e9ee", "#8a94a0"
DOMU_COLOURS = ("#2f6fb3", "#e08214", "#4d9a51", "#a05195", "#7b6a58", "#c94f6d")
DOM0_COLOUR = "#0b7a75"
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
PARTS = (
    ("same_filled", "same-filled pages", "#b9c4cf"),
    ("compression", "compression", "#2f6fb3"),
    ("sharing_within", "sharing inside a domU", "#7fc3bd"),
    ("sharing_between", "sharing between domUs", "#0b7a75"),
    ("twins", SECOND_LOOK_PARTS["twins"], "#e08214"),
    ("near_twins", SECOND_LOOK_PARTS["near_twins"], "#f3c58f"),
    ("recompression", SECOND_LOOK_PARTS["recompression"], "#a05195"),
)
KEPT, UNDIVIDED = ("kept as payload", "#f0e0c8"), ("not divided", "#8a94a0")
WIDTH, HEIGHT = 460, 300


@dataclass(frozen=True)
class Figure2:
    """One panel of Figure 2."""

    title: str
    curves: Sequence[Curve]
    peak_seconds: float | None
    """Where the sum of the domUs' curves peaks; no line is drawn where it is not known."""
    peak_text: str = ""

    @classmethod
    def of(cls, variant: VariantSummary, curves: Sequence[Curve]) -> Figure2:
        """A variant's panel."""
        text = ""
        if variant.payload_bytes is not None and variant.reduction is not None:
            logical = (variant.logical_bytes or 0) / 1024
            text = (
                f"at the peak {logical:,.0f} KB swapped, "
                f"{variant.payload_bytes / 1024:,.0f} KB kept: {percent(variant.reduction)} less"
            )
        seconds = variant.peak.seconds if variant.peak else None
        return cls(variant.title or variant.name, curves, seconds, text)


def figure2_svg(panels: Sequence[Figure2], *, paper: bool = True) -> str:
    """Figure 2: swapped pages of each domU and dom0's payload over time, side by side.

    Args:
        panels: one a variant; they share both axes.
        paper: whether to mark the levels that the paper gives.
    """
    return _svg(_figure2(panels, paper=paper))


def figure2_png(panels: Sequence[Figure2], *, paper: bool = True, scale: float = 2) -> bytes:
    """The same picture as PNG, for a README."""
    return bytes(vl_convert.vegalite_to_png(_figure2(panels, paper=paper), scale=scale))


def _figure2(panels: Sequence[Figure2], *, paper: bool) -> dict[str, Any]:
    drawn = [panel for panel in panels if panel.curves]
    domains = list(dict.fromkeys(curve.domain for panel in drawn for curve in panel.curves))
    domus = [name for name in domains if name != DOM0]
    with_levels = paper and len(domus) == len(PAPER.logical_kilobytes)
    every = [point for panel in drawn for curve in panel.curves for point in curve.points]
    highest = max((point.kilobytes for point in every), default=0.0)
    if with_levels:
        highest = max(highest, *PAPER.logical_kilobytes)
    last = max((point.seconds for point in every), default=1.0)
    scales = _Scales(domus, highest * 1.12 or 1.0, last)
    charts = [_panel(panel, scales, with_levels=with_levels) for panel in drawn]
    chart = in_pairs(charts) if charts else empty("no MARK arrived: no curves")
    return _spec(chart)


def in_pairs(panels: Sequence[Picture]) -> Picture:
    """Panels two a row: a third one beside them would make all of them too small to read."""
    return alt.concat(*panels, columns=2, spacing=36)


@dataclass(frozen=True)
class _Scales:
    domus: Sequence[str]
    highest: float
    last: float

    @property
    def colour(self) -> alt.Scale:
        colours = [DOMU_COLOURS[i % len(DOMU_COLOURS)] for i in range(len(self.domus))]
        return alt.Scale(domain=[*self.domus, DOM0], range=[*colours, DOM0_COLOUR])

    def named(self, domain: str) -> str:
        return "dom0, payload" if domain == DOM0 else f"{domain}, swapped"


def _panel(panel: Figure2, scales: _Scales, *, with_levels: bool) -> Picture:
    rows = [
        {"domain": curve.domain, "seconds": point.seconds, "kb": point.kilobytes}
        for curve in panel.curves
        for point in thinned([point for point in curve.points if point.seconds >= 0])
    ]
    x = alt.X(
        "seconds:Q",
        title="seconds since the workload's start",
        scale=alt.Scale(domain=[0, scales.last], nice=False),
        axis=alt.Axis(grid=False, tickCount=6),
    )
    y = alt.Y(
        "kb:Q",
        title="KB (1024 bytes)",
        scale=alt.Scale(domain=[0, scales.highest], nice=False),
        axis=alt.Axis(format=",d", tickCount=6),
    )
    names = {name: scales.named(name) for name in [*scales.domus, DOM0]}
    label = " : ".join(f"datum.label == '{name}' ? '{text}'" for name, text in names.items())
    colour = alt.Color(
        "domain:N",
        scale=scales.colour,
        legend=alt.Legend(
            title=None,
            orient="top",
            symbolType="stroke",
            symbolOpacity=1,
            labelExpr=f"{label} : datum.label",
        ),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x, y=y)
    dom0 = base.transform_filter(f"datum.domain == '{DOM0}'")
    layers: list[Picture] = [
        dom0.mark_area(color=DOM0_COLOUR, opacity=0.14),
        base.mark_line(strokeWidth=2, strokeJoin="round").encode(color=colour),
    ]
    if with_levels:
        layers.append(_paper_levels(scales, x, y))
    if panel.peak_seconds is not None:
        layers.append(_peak_line(panel, scales, x))
    title = alt.TitleParams(panel.title, subtitle=panel.peak_text or " ")
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title)


def _paper_levels(scales: _Scales, x: alt.X, y: alt.Y) -> Picture:
    levels = [*zip(scales.domus, PAPER.logical_kilobytes, strict=True)]
    rows = [
        {"domain": domain, "kb": level, "seconds": 0, "text": f"paper {level:,}"}
        for domain, level in [*levels, (DOM0, PAPER.payload_kilobytes)]
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=y, color=alt.Color("domain:N", scale=scales.colour)
    )
    return base.mark_rule(strokeDash=[2, 4], strokeWidth=1.2) + base.mark_text(
        align="left", baseline="bottom", dx=4, dy=-2, fontSize=10
    ).encode(x=x, text="text:N")


def _peak_line(panel: Figure2, scales: _Scales, x: alt.X) -> Picture:
    rows = [{"seconds": panel.peak_seconds, "kb": scales.highest}]
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    late = (panel.peak_seconds or 0.0) > 0.85 * scales.last
    return base.mark_rule(color=INK, strokeWidth=1, strokeDash=[5, 3]) + base.mark_text(
        align="right" if late else "left",
        baseline="top",
        dx=-5 if late else 5,
        dy=3,
        color=INK,
        fontSize=11,
    ).encode(y=alt.value(0), text=alt.value("peak"))


def decomposition_svg(variants: Sequence[VariantSummary]) -> str:
    """Where the reduction comes from: one stacked bar a variant, and the paper's."""
    rows: list[dict[str, Any]] = []
    order = ["paper"]
    rows += _bar("paper", [("not divided", PAPER.reduction), (KEPT[0], 1 - PAPER.reduction)])
    for variant in variants:
        if variant.reduction is None:
            continue
        title = variant.title or variant.name
        order.append(title)
        parts = [(name, getattr(variant, key) or 0.0) for key, name, _ in PARTS]
        rows += _bar(title, [*parts, (KEPT[0], 1 - variant.reduction)])
    looked = [key for key in SECOND_LOOK_PARTS if any(getattr(one, key) for one in variants)]
    shown = [part for part in PARTS if part[0] not in SECOND_LOOK_PARTS or part[0] in looked]
    names = [name for _, name, _ in shown] + [UNDIVIDED[0], KEPT[0]]
    colours = [colour for _, _, colour in shown] + [UNDIVIDED[1], KEPT[1]]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("run:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=12)),
    )
    bars = base.mark_bar(height=30, stroke="white", strokeWidth=1).encode(
        x=alt.X(
            "from:Q",
            title="share of all swapped pages",
            scale=alt.Scale(domain=[0, 1], nice=False),
            axis=alt.Axis(format="%", tickCount=5),
        ),
        x2="to:Q",
        color=alt.Color(
            "part:N",
            scale=alt.Scale(domain=names, range=colours),
            legend=alt.Legend(
                title=None, orient="top", columns=3, labelLimit=260, symbolType="square"
            ),
        ),
    )
    wide = base.transform_filter("datum.to - datum.from >= 0.035")
    text = wide.mark_text(fontSize=11, fontWeight="bold").encode(
        x="middle:Q",
        text="label:N",
        color=alt.Color("ink:N", scale=None),
    )
    sums = base.transform_filter("isValid(datum.sum)").mark_text(
        align="left", dx=10, fontSize=13, fontWeight="bold", color=INK
    )
    total = sums.encode(x=alt.datum(1), text="sum:N")
    chart = alt.layer(bars, text, total).properties(width=720, height=alt.Step(46))
    return _svg(_spec(chart))


def _bar(run: str, parts: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    dark = {name for _, name, colour in PARTS if colour in ("#2f6fb3", "#0b7a75")} | {UNDIVIDED[0]}
    rows: list[dict[str, Any]] = []
    at = 0.0
    for name, share in parts:
        rows.append(
            {
                "run": run,
                "part": name,
                "from": at,
                "to": at + share,
                "middle": at + share / 2,
                "label": percent(share),
                "ink": "white" if name in dark else INK,
            }
        )
        at += share
    rows[-1]["sum"] = f"{percent(rows[-1]['from'])} less"
    return rows


def histogram_svg(histogram: Mapping[str, int]) -> str:
    """How many entries of the page sharing table are shared by how many domains."""
    rows = [
        {"sharers": _domains(int(sharers)), "entries": entries, "text": f"{entries:,}"}
        for sharers, entries in sorted(histogram.items(), key=lambda item: int(item[0]))
    ]
    if not rows:
        return _svg(_spec(empty("the table was empty")))
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("sharers:N", sort=None, title=None, axis=alt.Axis(ticks=False, labelFontSize=12)),
        x=alt.X("entries:Q", title="sharing page entries", axis=alt.Axis(format=",d", tickCount=4)),
    )
    bars = base.mark_bar(color=DOM0_COLOUR, height=20)
    text = base.mark_text(align="left", dx=4, color=INK, fontSize=11).encode(text="text:N")
    return _svg(_spec(alt.layer(bars, text).properties(width=300, height=alt.Step(32))))


def _domains(count: int) -> str:
    return f"{count} domain" if count == 1 else f"{count} domains"


def empty(text: str) -> Picture:
    """A picture that says why there is none."""
    base = alt.Chart(alt.InlineData(values=[{"text": text}]))
    mark = base.mark_text(color=MUTED, fontSize=13).encode(text="text:N")
    return mark.properties(width=WIDTH, height=60)


def svg_of(chart: Picture) -> str:
    """A picture in the report's style, as SVG text."""
    return _svg(_spec(chart))


def _spec(chart: Picture) -> dict[str, Any]:
    axis = {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "titleFontSize": 11,
        "labelFontSize": 11,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
    }
    title = {
        "anchor": "start",
        "fontSize": 14,
        "color": INK,
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "offset": 8,
    }
    spec: dict[str, Any] = chart.configure(
        font=FONT,
        background="white",
        axis=axis,
        title=title,
        view={"stroke": None},
        legend={
            "labelFontSize": 12,
            "labelColor": INK,
            "symbolStrokeWidth": 3,
            "symbolSize": 220,
            "labelOffset": 6,
            "columnPadding": 28,
        },
        # The reader's font may be wider than the one that was measured here.
        padding={"left": 28, "right": 28, "top": 8, "bottom": 8},
    ).to_dict()
    return spec


def _svg(spec: dict[str, Any]) -> str:
    return str(vl_convert.vegalite_to_svg(spec))
