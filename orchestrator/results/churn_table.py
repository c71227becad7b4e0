"""The terminal's tables of a churn: what came back, and what a store that lies told."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table

from orchestrator.results.summary import Summary, VariantSummary
from orchestrator.results.words import MISSING

__all__ = ["SEEN", "churn_tables"]

SEEN = (
    "protocol_errors",
    "reconnects",
    "resent",
    "load_error_corrupt",
    "load_error_status",
    "load_error_timeout",
    "load_error_lost",
    "reject_error",
    "reject_timeout",
)
"""Counters of the frontend that say what it made of lies."""


def churn_tables(summary: Summary) -> Iterator[Table]:
    """One row a variant and domU; then one row a variant with lies."""
    table = Table(
        title=f"{summary.experiment}: run {summary.run_id}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for name in ("", "domU", "kernel"):
        table.add_column(name, overflow="fold")
    for name in ("rounds", "pages asked back", "errors", "wrong bytes"):
        table.add_column(name, justify="right")
    for variant in summary.variants:
        for domain in variant.domains:
            found = domain.churn
            figures = (found.rounds, found.pages, found.errors, found.mismatches) if found else ()
            shown = [f"{value:,}" for value in figures] or [MISSING] * 4
            table.add_row(variant.title or variant.name, domain.name, variant.kernel, *shown)
    yield table
    if any(variant.hostile for variant in summary.variants):
        yield _lies(summary.variants)


def _lies(variants: list[VariantSummary]) -> Table:
    told = [variant.hostile for variant in variants if variant.hostile]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("what the store did, and the frontend counted")
    for variant in variants:
        if variant.hostile:
            table.add_column(variant.title or variant.name, justify="right")
    rows = {
        "starts": [one.starts for one in told],
        "connections": [one.connections for one in told],
        "answers": [one.answers for one in told],
        "lies": [sum(one.lies.values()) for one in told],
        "kinds of lies": [len(one.lies) for one in told],
        "times that the frontend left": [one.left for one in told],
        **{name: [one.counters.get(name, 0) for one in told] for name in SEEN},
    }
    for name, values in rows.items():
        table.add_row(name, *(f"{value:,}" for value in values))
    return table
