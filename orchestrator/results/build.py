"""From a run's folder to its summary: a pure function of what the folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from orchestrator.experiment.workload import CHECKED
from orchestrator.metrics.analysis import (
    Decomposition,
    check_books,
    coverage_at,
    decompose,
    find_peak,
    swap_in_use,
)
from orchestrator.metrics.collector import VariantSamples
from orchestrator.metrics.records import PAGE_SIZE, MarkRecord, Peak
from orchestrator.metrics.series import seconds_of
from orchestrator.metrics.swap import SwapSample
from orchestrator.metrics.swap_peak import SwapPeak, decompose_swap, find_swap_peak, swap_moments
from orchestrator.results.completeness import sampling_figures, service_figures
from orchestrator.results.digests import DigestComparison, compare_digests
from orchestrator.results.manifest import now
from orchestrator.results.oracle import OracleFile, oracle_figures
from orchestrator.results.outcome import DomainOutcome, VariantFile, VariantOutcome, Verdict
from orchestrator.results.read import Run
from orchestrator.results.spread import guest_time_spread
from orchestrator.results.summary import (
    BooksFigures,
    DigestFigures,
    DomainSummary,
    PeakFigures,
    SamplingFigures,
    Summary,
    VariantSummary,
)
from orchestrator.results.verdict import Proof, judge, judge_run

__all__ = ["LONGEST_INTERVAL", "build_summary", "summarise_variant"]

LONGEST_INTERVAL = 1.0
"""Seconds: at least one sample a second is asked for."""


def build_summary(run: Run) -> Summary:
    """All figures of a run."""
    content = run.manifest.experiment.content
    planned = [variant["name"] for variant in content.get("variant", [])]
    variants = [
        summarise_variant(file, run.samples_of(name), run.swap_of(name), run.oracle.get(name))
        for name, file in run.variants.items()
    ]
    judged: dict[str, tuple[Verdict, list[str]]] = {
        one.name: (one.verdict, one.reasons) for one in variants
    }
    expected: dict[str, Verdict] = {one.name: one.expect for one in variants}
    verdict, reasons = judge_run(planned, judged, expected)
    return Summary(
        run_id=run.manifest.run_id,
        experiment=str(content.get("name", run.manifest.experiment.file)),
        workload=content.get("workload", {}).get("kind", "kernel-compile"),
        timing=content.get("timing", "realtime"),
        created_at=run.manifest.created_at,
        finished_at=run.summary.finished_at if run.summary else now(),
        verdict=verdict,
        reasons=reasons,
        guest_time_spread=guest_time_spread(content.get("variant", []), variants),
        variants=variants,
    )


def summarise_variant(
    file: VariantFile,
    samples: VariantSamples,
    swap: Sequence[SwapSample] = (),
    seen: OracleFile | None = None,
) -> VariantSummary:
    """All figures of one variant."""
    outcome, marks = file.outcome, samples.marks
    peak, source = _choose_peak(file.peak, find_peak(marks))
    books, digests = check_books(marks), _compare(outcome)
    kept = find_swap_peak(swap) if outcome.swap != "pageshare" else None
    parts = decompose(peak) if peak else decompose_swap(kept) if kept else None
    last = {mark.domain: mark for mark in marks}
    counters = {name: mark.counters for name, mark in last.items()}
    proof = Proof(
        books=books,
        digests=digests,
        counters=_most_counted(marks),
        events=samples.events,
        peak_known=bool(parts and parts.logical_bytes),
        swapped=bool(kept and kept.swapped_pages),
    )
    verdict, reasons = judge(outcome, proof)
    sampling = sampling_figures(samples)
    table = file.peak if source == "store" else None
    first_open = books.first_open
    return VariantSummary(
        name=outcome.name,
        title=outcome.title,
        randomize_va_space=outcome.randomize_va_space,
        verdict=verdict,
        reasons=reasons,
        warnings=_warnings(outcome, sampling, file.peak, source) if _is_sampled(outcome) else [],
        domains=_swap_domains(outcome, kept, swap)
        if kept
        else _domains(outcome, marks, peak, counters),
        **_shares(parts),
        coverage=coverage_at(peak, marks) if peak else kept.coverage if kept else None,
        books_closed=books.closed,
        digests_equal=digests.equal,
        table_entries=peak.table.entries if peak else None,
        sharing_histogram=dict(table.sharing_histogram) if table else None,
        wall_seconds=outcome.wall_seconds,
        dom0_cpu_seconds=outcome.dom0_cpu_seconds,
        peak=_peak_figures(peak, source, samples) or _swap_peak_figures(kept),
        books=BooksFigures(
            marks=books.marks,
            first_open_sequence=first_open.sequence if first_open else None,
            first_open=first_open.books.model_dump(
                include={"held_pages", "references", "table_bytes", "arena_bytes"}
            )
            if first_open
            else None,
        ),
        digests=DigestFigures(
            objects=digests.objects,
            compared_domains=list(digests.compared_domains),
            reference=digests.reference,
            differing=list(digests.differing),
        ),
        sampling=sampling,
        service=service_figures(marks, outcome),
        swap=outcome.swap,
        expect=outcome.expect,
        faults=dict(Counter(fault.kind for fault in outcome.faults)),
        builds=outcome.builds,
        kernel=outcome.kernel,
        host_load=outcome.host_load,
        hostile=outcome.hostile,
        oracle=oracle_figures(seen) if seen else None,
    )


def _is_sampled(outcome: VariantOutcome) -> bool:
    """Whether the store's statistics are read: one that lies has none to be believed."""
    return outcome.swap == "pageshare" and outcome.hostile is None


def _choose_peak(
    kept: Peak | None, seen: MarkRecord | None
) -> tuple[MarkRecord | None, Literal["store", "samples"]]:
    """The store's own peak, unless the samples saw a higher one (its copy is not of this run)."""
    mark = kept.mark if kept else None
    if mark is not None and (seen is None or mark.logical_pages >= seen.logical_pages):
        return mark, "store"
    return seen, "samples"


def _compare(outcome: VariantOutcome) -> DigestComparison:
    partial = outcome.verdict != "OK"
    digests = {
        domain.name: domain.digests for domain in outcome.domains if domain.workload in CHECKED
    }
    # runs of working sets that are older than the field have them, too
    own = outcome.own_digests or outcome.worked
    return compare_digests(digests, outcome.reference_digests, own=own, partial=partial)


def _most_counted(marks: Sequence[MarkRecord]) -> dict[str, dict[str, int]]:
    """Per domU, the largest value of each counter at any MARK."""
    most: dict[str, dict[str, int]] = {}
    for mark in marks:
        counts = most.setdefault(mark.domain, {})
        for name, value in mark.counters.items():
            counts[name] = max(value, counts.get(name, 0))
    return most


def _shares(parts: Decomposition | None) -> dict[str, Any]:
    names = (
        "logical_bytes",
        "payload_bytes",
        "footprint_bytes",
        "store_footprint_bytes",
        "frontend_bytes",
        "reduction",
        "same_filled",
        "compression",
        "sharing_within",
        "sharing_between",
        "twins",
        "near_twins",
        "recompression",
        "net_reduction",
    )
    return {name: getattr(parts, name) if parts else None for name in names}


def _domains(
    outcome: VariantOutcome,
    marks: Sequence[MarkRecord],
    peak: MarkRecord | None,
    counters: Mapping[str, dict[str, int]],
) -> list[DomainSummary]:
    known = {domain.name: domain for domain in outcome.domains}
    seen = {name for mark in marks for name in mark.domains} | set(peak.domains if peak else ())
    names = [*known, *sorted(seen - set(known))]
    slots = swap_in_use(peak, marks) if peak else {}
    every = [*marks, peak] if peak else marks
    return [
        _domain(known.get(name, DomainOutcome(name=name)), every, peak, slots, counters)
        for name in names
    ]


def _swap_domains(
    outcome: VariantOutcome, peak: SwapPeak, samples: Sequence[SwapSample]
) -> list[DomainSummary]:
    """The domUs where their own kernels, or dom0's, keep their pages."""
    most: dict[str, int] = {}
    for moment in swap_moments(samples):
        for name, one in moment.domains.items():
            most[name] = max(one.logical_pages, most.get(name, 0))
    known = {domain.name: domain for domain in outcome.domains}
    return [
        DomainSummary(
            logical_bytes_peak=_pages(most.get(name)),
            logical_bytes_at_peak=_pages(one.logical_pages),
            same_filled_bytes_at_peak=_pages(one.same_filled_pages),
            charged_bytes_at_peak=one.payload_bytes,
            distinct_bytes_at_peak=one.payload_bytes,
            swapped_bytes_at_peak=_pages(one.swapped_pages),
            frontend_bytes=one.domu_bytes,
            counters=None,
            **_ended(known.get(name, DomainOutcome(name=name))),
        )
        for name, one in sorted(peak.domains.items())
    ]


def _domain(
    outcome: DomainOutcome,
    marks: Sequence[MarkRecord],
    peak: MarkRecord | None,
    slots: Mapping[str, tuple[int, int] | None],
    counters: Mapping[str, dict[str, int]],
) -> DomainSummary:
    name = outcome.name
    logical = [mark.domains[name].logical_pages for mark in marks if name in mark.domains]
    at_peak = peak.domains.get(name) if peak else None
    in_use = slots.get(name)
    return DomainSummary(
        logical_bytes_peak=_pages(max(logical, default=None)),
        logical_bytes_at_peak=_pages(at_peak.logical_pages if at_peak else None),
        same_filled_bytes_at_peak=_pages(at_peak.same_filled_pages if at_peak else None),
        charged_bytes_at_peak=at_peak.charged_bytes if at_peak else None,
        distinct_bytes_at_peak=at_peak.distinct_bytes if at_peak else None,
        swapped_bytes_at_peak=_pages(in_use[1] if in_use else None),
        frontend_bytes=at_peak.frontend_bytes if at_peak else None,
        counters=counters.get(name),
        **_ended(outcome),
    )


def _ended(outcome: DomainOutcome) -> dict[str, Any]:
    """What the summary takes over as the runner saw it."""
    names = set(DomainOutcome.model_fields) & set(DomainSummary.model_fields)
    return {name: getattr(outcome, name) for name in names}


def _pages(number: int | None) -> int | None:
    return None if number is None else number * PAGE_SIZE


def _peak_figures(
    peak: MarkRecord | None, source: Literal["store", "samples"], samples: VariantSamples
) -> PeakFigures | None:
    if peak is None:
        return None
    return PeakFigures(
        sequence=peak.sequence,
        dom0_seconds=peak.dom0_seconds,
        seconds=seconds_of(peak, samples.samples),
        source=source,
    )


def _swap_peak_figures(peak: SwapPeak | None) -> PeakFigures | None:
    if peak is None:
        return None
    return PeakFigures(sequence=None, dom0_seconds=None, seconds=peak.seconds, source="kernels")


def _warnings(
    outcome: VariantOutcome, sampling: SamplingFigures, kept: Peak | None, source: str
) -> list[str]:
    warnings = [
        f"{number} {'gap' if number == 1 else 'gaps'} in the samples: {kind}"
        for kind, number in sampling.gaps.items()
    ]
    if sampling.records_lost:
        warnings.append(f"{sampling.records_lost} records of the store did not arrive")
    longest = sampling.longest_interval_seconds
    # seconds of the host: on a counted clock they say nothing of the guests'
    if outcome.timing == "realtime" and longest is not None and longest > LONGEST_INTERVAL:
        warnings.append(f"samples lie up to {longest:.1f} s apart; at least one a second is wanted")
    if kept is None:
        warnings.append("the store's table at its peak could not be read")
    elif source == "samples" and kept.mark is not None:
        warnings.append("the samples saw a higher peak than the store: its table is left out")
    if outcome.oracle_missing:
        warnings.append(f"how much sharing was possible is not known: {outcome.oracle_missing}")
    return warnings
