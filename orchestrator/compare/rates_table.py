"""The terminal's table of error rates: how often each verdict would be given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.compare.error_rates import CLAIMS, ErrorRates, Rates
from orchestrator.compare.metric import Metric
from orchestrator.compare.model import Verdict
from orchestrator.results.words import percent

__all__ = ["rates_table"]

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def rates_table(
    rates: ErrorRates, metrics: Sequence[Metric], *, base: str = "base", other: str = "other"
) -> RenderableType:
    """A row a metric: draws of two arms that are alike, then of the arms as they ran.

    Args:
        rates: what to show.
        metrics: those that were compared; one without a figure has no row.
        base: the base arm's name.
        other: the other arm's name.
    """
    shown = [metric for metric in metrics if metric.name in rates.apart.verdicts]
    given = [one for one in _VERDICTS if any(_shares(rates.apart, each, one) for each in shown)]
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("share of draws", no_wrap=True)
    table.add_column("alike: a claim", justify="right", no_wrap=True)
    for verdict in given:
        table.add_column(f"apart: {verdict}", justify="right", max_width=10)
    for metric in shown:
        table.add_row(
            metric.title,
            percent(sum(_shares(rates.alike, metric, verdict) for verdict in CLAIMS)),
            *(percent(_shares(rates.apart, metric, verdict)) for verdict in given),
        )
    lines = (
        f"{rates.draws:,} draws of whole runs, with replacement, seed {rates.seed}",
        f"alike: both arms drawn from {base}, so that every claim is false;"
        f" one about any metric in {percent(rates.alike.any_claim)} of the draws",
        f"apart: {base} and {other} as they ran",
    )
    return Group(table, *(Text(line, style="dim") for line in lines))


def _shares(rates: Rates, metric: Metric, verdict: Verdict) -> float:
    return rates.verdicts[metric.name].get(verdict, 0.0)
