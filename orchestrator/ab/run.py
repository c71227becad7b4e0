"""Run both arms and compare them; the comparison lies in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from orchestrator.ab.figures import arms_of, design_of, metrics_of
from orchestrator.ab.plan import Step, plan
from orchestrator.compare import Comparison, Criteria, compare
from orchestrator.experiment import Experiment
from orchestrator.progress import Progress
from orchestrator.results import Summary
from orchestrator.results.folder import write_atomically
from orchestrator.runner import run_experiment

__all__ = ["COMPARISON", "Compared", "compare_run", "keep_comparison", "run_ab"]

COMPARISON = "comparison.json"

Compared = dict[tuple[str, Step], Comparison]
"""By variant of the experiment, and by step."""


def run_ab(
    experiment: Experiment,
    file: Path,
    patches: Sequence[Path],
    results: Path,
    progress: Progress,
    *,
    repeat: int,
    criteria: Criteria,
    each: bool = False,
    resume: bool = False,
) -> tuple[Path, Summary, Compared]:
    """Run, compare and keep the comparison.

    Raises:
        UserError: a patch does not apply or compile, or there is nothing to compare.
        InfrastructureError: the artifacts could not be built.
    """
    planned, steps = plan(experiment, len(patches), repeat, each=each)
    folder, summary = run_experiment(
        planned, file, results, progress, resume=resume, patches=patches
    )
    compared = compare_run(summary, steps, [one.name for one in experiment.variants], criteria)
    keep_comparison(folder, compared)
    return folder, summary, compared


def keep_comparison(folder: Path, compared: Compared) -> None:
    """Write it beside the runs that it is of."""
    kept = [
        {"variant": name, "base": step.base, "other": step.other, "comparison": asdict(one)}
        for (name, step), one in compared.items()
    ]
    text = json.dumps(kept, indent=2, allow_nan=False) + "\n"
    write_atomically(folder / COMPARISON, text)


def compare_run(
    summary: Summary, steps: Sequence[Step], variants: Sequence[str], criteria: Criteria
) -> Compared:
    """Each step in each variant."""
    arms = arms_of(summary)
    return {
        (name, step): compare(
            arms.get((name, step.base), {}),
            arms.get((name, step.other), {}),
            design=design_of(summary),
            criteria=criteria,
            metrics=metrics_of(summary),
        )
        for name in variants
        for step in steps
    }
