"""The report's picture of the table by form over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from orchestrator.metrics.forms import AS_SENT
from orchestrator.metrics.series import Curve
from orchestrator.results.charts import empty, in_pairs, svg_of

__all__ = ["forms_svg"]

WIDTH, HEIGHT = 460, 220
_MOST_POINTS = 300
FORMS = {
    AS_SENT: ("as they were sent", "#b9c4cf"),
    "recompressed": ("compressed once more", "#a05195"),
    "near_twin": ("beside a page that resembles them", "#f3c58f"),
    "twin": ("as where their pointers moved", "#e08214"),
}


def forms_svg(variants: Mapping[str, Sequence[Curve]]) -> str:
    """What is kept, stacked by form, one panel a variant.

    Args:
        variants: the curves of each variant, by its title.
    """
    curves = {title: lines for title, lines in variants.items() if lines}
    if not curves:
        return svg_of(empty("no page was kept in another form than it was sent in"))
    panels = [_panel(title, lines) for title, lines in curves.items()]
    return svg_of(in_pairs(panels))


def _panel(title: str, curves: Sequence[Curve]) -> Any:
    rows: list[dict[str, Any]] = []
    for order, (form, (name, _)) in enumerate(FORMS.items()):
        for points in (curve.points for curve in curves if curve.domain == form):
            step = max(1, len(points) // _MOST_POINTS)
            rows += [
                {"form": name, "order": order, "seconds": one.seconds, "kb": one.kilobytes}
                for one in points[::step]
                if one.seconds >= 0
            ]
    names, colours = zip(*FORMS.values(), strict=True)
    area = alt.Chart(alt.InlineData(values=rows)).mark_area()
    encoded = area.encode(
        x=alt.X("seconds:Q", title="seconds since the workload's start", axis=alt.Axis(grid=False)),
        y=alt.Y("kb:Q", stack="zero", title="KB kept in dom0", axis=alt.Axis(format=",d")),
        order="order:Q",
        color=alt.Color(
            "form:N",
            scale=alt.Scale(domain=list(names), range=list(colours)),
            legend=alt.Legend(
                title=None, orient="bottom", columns=2, labelLimit=260, symbolType="square"
            ),
        ),
    )
    return encoded.properties(width=WIDTH, height=HEIGHT, title=title)
