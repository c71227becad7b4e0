"""``report.html``: one file that tells the whole run and opens with no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.metrics.forms import form_curves
from orchestrator.metrics.series import Curve, figure2_curves
from orchestrator.results.baseline_table import COLUMNS, baseline_rows, compares_swaps
from orchestrator.results.build import build_summary
from orchestrator.results.charts import (
    Figure2,
    decomposition_svg,
    figure2_png,
    figure2_svg,
    histogram_svg,
)
from orchestrator.results.folder import write_atomically
from orchestrator.results.forms_chart import forms_svg
from orchestrator.results.oracle_chart import ceiling_svg
from orchestrator.results.outcome import VariantFile
from orchestrator.results.paper import PAPER
from orchestrator.results.read import Run, read_run
from orchestrator.results.stream_charts import stream_svg
from orchestrator.results.summary import Summary, VariantSummary
from orchestrator.results.words import (
    SECOND_LOOK_PARTS,
    kilobytes,
    microseconds,
    percent,
    seconds,
    whole,
)

__all__ = ["figure2_panels", "render_figure2", "render_forms", "render_report", "report_html"]

TEMPLATES = Path(__file__).parent / "templates"
MOST_ENTRIES = 5000
"""Entries of the page sharing table that the report lists; the folder has them all."""


@dataclass(frozen=True)
class TableView:
    """The page sharing table of one variant at its peak, as the report shows it."""

    entries: Sequence[tuple[int, int, int]]
    """Most shared first: page id, sharing domains, length."""
    left_out: int
    histogram: Markup

    @classmethod
    def of(cls, file: VariantFile) -> TableView | None:
        """None where the store's table could not be read."""
        if file.peak is None or file.peak.mark is None:
            return None
        ordered = sorted(file.peak.entries, key=lambda entry: (-entry[1], entry[0]))
        return cls(
            entries=ordered[:MOST_ENTRIES],
            left_out=max(len(ordered) - MOST_ENTRIES, 0),
            histogram=_svg(histogram_svg(file.peak.sharing_histogram)),
        )


@dataclass(frozen=True)
class FaultRow:
    """All faults of a kind in one variant. Seconds of the host."""

    variant: str
    kind: str
    struck: int
    away_seconds: float
    """The longest that the store, or the domU, was away."""
    recovery_median_seconds: float
    recovery_seconds: float
    """The longest."""


def render_report(run_dir: Path) -> Path:
    """Make ``report.html`` again from the folder alone; gives its path.

    Raises:
        UserError: there is no run there, or a file in it is not what it should be.
    """
    run = read_run(run_dir)
    path = run_dir / "report.html"
    write_atomically(path, report_html(run, run.summary or build_summary(run)))
    return path


def render_figure2(run_dir: Path, destination: Path) -> Path:
    """Write Figure 2 of a run as an SVG or PNG file, by the name's ending.

    Raises:
        UserError: as ``render_report``.
    """
    run = read_run(run_dir)
    panels = figure2_panels(run, run.summary or build_summary(run))
    if destination.suffix == ".png":
        destination.write_bytes(figure2_png(panels))
    else:
        destination.write_text(figure2_svg(panels), encoding="utf-8")
    return destination


def render_forms(run_dir: Path, destination: Path) -> Path:
    """Write what a run's stores kept, by form over time, as an SVG file.

    Raises:
        UserError: as ``render_report``.
    """
    run = read_run(run_dir)
    curves = _form_curves(run, run.summary or build_summary(run))
    destination.write_text(forms_svg(curves), encoding="utf-8")
    return destination


def figure2_panels(run: Run, summary: Summary) -> list[Figure2]:
    """One panel a variant that has a store, in their order."""
    return [
        Figure2.of(variant, figure2_curves(run.samples_of(variant.name).samples))
        for variant in summary.variants
        if variant.swap == "pageshare"
    ]


def report_html(run: Run, summary: Summary) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        kb=kilobytes,
        percent=percent,
        seconds=seconds,
        count=_count,
        microseconds=microseconds,
        whole=whole,
        shell=shlex.join,
        mib=_mebibytes,
    )
    looked_at = [one for one in summary.variants if one.oracle]
    return environment.get_template("report.html.j2").render(
        summary=summary,
        manifest=run.manifest,
        manifest_json=json.dumps(run.manifest.model_dump(mode="json"), indent=2),
        title=run.manifest.experiment.content.get("title") or summary.experiment,
        paper=PAPER,
        **_pictures(run, summary),
        baselines=list(baseline_rows(summary.variants)) if compares_swaps(summary) else [],
        baseline_columns=COLUMNS,
        fault_rows=[row for name, file in run.variants.items() for row in _fault_rows(name, file)],
        tables={name: TableView.of(file) for name, file in run.variants.items()},
        events=run.events,
        domains=_domains(summary.variants),
        counters=_counter_names(summary.variants),
        second_look_parts=SECOND_LOOK_PARTS,
        forms=_forms(run, summary),
        looked_at=looked_at,
        ceiling=_svg(ceiling_svg(looked_at)) if looked_at else "",
    )


def _pictures(run: Run, summary: Summary) -> dict[str, Markup]:
    """The pictures that the kind of workload has; altair takes a while for each."""
    if summary.workload == "page-stream":
        return {"stream": _svg(stream_svg(summary.variants))}
    if summary.workload == "churn":
        return {}
    return {
        "figure2": _svg(figure2_svg(figure2_panels(run, summary))),
        "decomposition": _svg(
            decomposition_svg([one for one in summary.variants if one.logical_bytes])
        ),
    }


def _forms(run: Run, summary: Summary) -> Markup | None:
    """What is kept by form over time, where there was a second look."""
    curves = _form_curves(run, summary)
    return _svg(forms_svg(curves)) if curves else None


def _form_curves(run: Run, summary: Summary) -> dict[str, list[Curve]]:
    """Of each variant that has a second look, by its title."""
    looked = [one for one in summary.variants if any(getattr(one, n) for n in SECOND_LOOK_PARTS)]
    return {one.title or one.name: form_curves(run.samples_of(one.name).samples) for one in looked}


def _fault_rows(variant: str, file: VariantFile) -> Iterator[FaultRow]:
    faults = file.outcome.faults
    for kind in dict.fromkeys(fault.kind for fault in faults):
        struck = [fault for fault in faults if fault.kind == kind]
        yield FaultRow(
            variant=variant,
            kind=kind,
            struck=len(struck),
            away_seconds=max(fault.seconds for fault in struck),
            recovery_median_seconds=median(fault.recovery_seconds for fault in struck),
            recovery_seconds=max(fault.recovery_seconds for fault in struck),
        )


def _domains(variants: Sequence[VariantSummary]) -> list[str]:
    return list(dict.fromkeys(domain.name for one in variants for domain in one.domains))


def _counter_names(variants: Sequence[VariantSummary]) -> list[str]:
    """Every counter that any domU reported, in the order of the interface."""
    named = (domain.counters or {} for one in variants for domain in one.domains)
    return list(dict.fromkeys(name for counters in named for name in counters))


def _svg(text: str) -> Markup:
    # Made by our own charts; altair escapes the titles that come from an experiment file.
    return Markup(text)  # noqa: S704


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1024**2:,.0f} MiB"
