"""One or several runs against one or several others, variant by variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.ab.figures import arms_of, design_of, figures_of, metrics_of
from orchestrator.compare import Arm, Comparison, Criteria, compare
from orchestrator.errors import UserError
from orchestrator.regression.comparable import Variable, differences
from orchestrator.results import Run, Summary
from orchestrator.results.build import build_summary

__all__ = ["Against", "compare_runs"]

_RUN = 10_000
"""Repetitions of one run are numbered below this, and another run's above."""


@dataclass(frozen=True)
class Against:
    """One variant in both."""

    experiment: str
    variant: str
    comparison: Comparison

    @property
    def worse(self) -> list[str]:
        """The metrics that got worse."""
        return [one.metric.title for one in self.comparison.results if one.verdict == "worse"]


def compare_runs(
    base: Sequence[Run],
    other: Sequence[Run],
    criteria: Criteria,
    *,
    variable: Variable = "nothing",
    force: bool = False,
) -> list[Against]:
    """Every variant that both sides have.

    Args:
        variable: what may be different.
        force: compare whatever is different.

    Raises:
        UserError: they differ in something else, or no variant is in both.
    """
    first = base[0].manifest
    for run in (*base[1:], *other):
        allowed: Variable = "nothing" if run in base else variable
        found = differences(first, run.manifest, allowed)
        if found and not force:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise UserError(
                f"{base[0].path} and {run.path} are not to be compared, they differ in "
                f"{found[0]}{more}; --variable says what may differ, --force compares all the same"
            )
    summary = _summary(base[0])
    ours, theirs = _arms(base), _arms(other)
    both = [name for name in ours if name in theirs]
    if not both:
        raise UserError(f"{base[0].path} and {other[0].path} have no variant in common")
    return [
        Against(
            summary.experiment,
            name,
            compare(
                ours[name],
                theirs[name],
                design=design_of(summary),
                criteria=criteria,
                metrics=metrics_of(summary),
            ),
        )
        for name in both
    ]


def _summary(run: Run) -> Summary:
    return run.summary or build_summary(run)


def _arms(runs: Sequence[Run]) -> dict[str, Arm]:
    """By variant; of one without repetitions, each run is one."""
    arms: dict[str, dict[int, dict[str, float | None]]] = {}
    for index, run in enumerate(runs):
        summary = _summary(run)
        found = {name: arm for (name, patches), arm in arms_of(summary).items() if patches == 0}
        if not found:
            found = {
                one.name: {0: figures_of(one)} for one in summary.variants if one.verdict == "OK"
            }
        for name, arm in found.items():
            arms.setdefault(name, {}).update(
                {index * _RUN + number: dict(figures) for number, figures in arm.items()}
            )
    return dict(arms)
