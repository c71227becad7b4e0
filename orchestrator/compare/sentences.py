"""A comparison in words: a line for each metric, and what to know of them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.compare.model import Comparison, Criteria, Design, Interval, MetricResult
from orchestrator.compare.sample_size import can_be_significant
from orchestrator.results.words import MISSING

__all__ = ["notes", "sentence", "signed_percent", "span"]


def signed_percent(value: float | None) -> str:
    """A relative change in percent, without its sign %: three digits, as many as it deserves."""
    if value is None:
        return MISSING
    percent = 100 * value
    shown = f"{percent:+.2f}" if abs(percent) < 9.995 else f"{percent:+,.1f}"
    return "0.00" if shown in ("+0.00", "-0.00") else shown


def span(interval: Interval | None) -> str:
    """An interval in percent, without its sign %."""
    if interval is None:
        return MISSING
    return f"{signed_percent(interval.low)} to {signed_percent(interval.high)}"


def sentence(result: MetricResult, criteria: Criteria) -> str:
    """One line: the verdict, the change with its interval, p, and which way is better."""
    parts = [f"{result.metric.title}: {result.verdict}"]
    if result.change is not None:
        parts.append(f"{signed_percent(result.change)} %")
    if result.interval is not None:
        parts.append(f"{100 * criteria.confidence:.3g} % interval {span(result.interval)} %")
    if result.p_holm is not None:
        seen = "significant" if result.significant else "not significant"
        parts.append(f"{seen} (p {result.p_holm:.2g} after Holm)")
    if result.metric.better != "neither":
        parts.append(f"{result.metric.better} is better")
    return ", ".join(parts)


def notes(comparison: Comparison) -> list[str]:
    """What was too few, equal, of no relative size, or left out: a line each."""
    return [*_too_few(comparison), *_seeds(comparison), *_by_metric(comparison)]


def _too_few(comparison: Comparison) -> Iterator[str]:
    design, level = comparison.design, comparison.criteria.level
    tested = [one for one in comparison.results if one.p is not None]
    metrics = len(tested)
    lacking: dict[str, list[str]] = {}
    for one in tested:
        sizes = one.base_samples, one.other_samples
        if not one.all_equal and not can_be_significant(design, *sizes, level, metrics):
            lacking.setdefault(_counted(one, design), []).append(one.metric.title)
    for counted, titles in lacking.items():
        every = len(titles) == sum(not one.all_equal for one in tested)
        whose = "" if every else f" of {', '.join(titles)}"
        yield (
            f"{counted}{whose} can never be significant at {level:.3g} over"
            f" {metrics} metric{'s' * (metrics != 1)}: at least {comparison.smallest_samples}"
            f" are needed{' in each' if design == 'unpaired' else ''}"
        )


def _seeds(comparison: Comparison) -> Iterator[str]:
    """One line where all metrics lack the same seeds: those runs are missing."""
    for arm in ("base", "other"):
        lacking: dict[tuple[int, ...], list[str]] = {}
        for one in comparison.results:
            seeds = one.only_base if arm == "base" else one.only_other
            if seeds:
                lacking.setdefault(seeds, []).append(one.metric.title)
        for seeds, titles in lacking.items():
            whose = "" if len(titles) == len(comparison.results) else f"{', '.join(titles)}: "
            listed = ", ".join(map(str, seeds))
            yield f"{whose}seeds left out, as they are in the {arm} arm alone: {listed}"


def _by_metric(comparison: Comparison) -> Iterator[str]:
    criteria = comparison.criteria
    for one in comparison.results:
        title = one.metric.title
        if one.p is None:
            paired = comparison.design == "paired"
            why = "no seed has it in both arms" if paired else "one arm has no sample of it"
            yield f"{title}: {why}"
        elif one.all_equal:
            yield f"{title}: all equal, {_counted(one, comparison.design)}"
        elif one.change is None:
            yield f"{title}: the base's median is 0, of which a change has no relative size"
        elif one.needed is not None:
            yield (
                f"{title}: to settle {100 * criteria.smallest_effect:.3g} %, about {one.needed:,}"
                f" are needed, there are {_counted(one, comparison.design)}"
            )
        elif one.verdict == "unclear":
            yield f"{title}: at the edge of what can be told; more samples may settle it"


def _counted(one: MetricResult, design: Design) -> str:
    base, other = one.base_samples, one.other_samples
    if design == "paired":
        return f"{base} pair{'s' * (base != 1)}"
    if base != other:
        return f"{base} and {other} samples"
    return f"{base} sample{'s' * (base != 1)} an arm"
