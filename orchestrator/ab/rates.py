"""How often the verdict of a comparison that was made errs, over resamplings of its runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from orchestrator.ab.figures import arms_of, design_of, metrics_of
from orchestrator.ab.plan import Step
from orchestrator.ab.run import COMPARISON
from orchestrator.compare import Criteria, ErrorRates, Metric, error_rates
from orchestrator.errors import UserError
from orchestrator.results import read_run

__all__ = ["StepRates", "rates_of"]


@dataclass(frozen=True)
class StepRates:
    """Of one comparison of a run."""

    variant: str
    """As the experiment calls it."""
    step: Step
    metrics: tuple[Metric, ...]
    rates: ErrorRates


@dataclass(frozen=True)
class _Compared:
    """What ``comparison.json`` says of the comparison itself."""

    criteria: Criteria


@dataclass(frozen=True)
class _Kept:
    """One of ``comparison.json``; what else it says is made anew."""

    variant: str
    base: int
    other: int
    comparison: _Compared


_KEPT = TypeAdapter(list[_Kept])


def rates_of(folder: Path, *, draws: int, seed: int = 0) -> list[StepRates]:
    """Every comparison of a run of ``testbed ab``, by the criteria that it had.

    Raises:
        UserError: there is no complete run of ``testbed ab``, or none of its runs ended well.
    """
    run = read_run(folder)
    file = folder / COMPARISON
    if run.summary is None or not file.is_file():
        raise UserError(f"{folder}: not a complete run of testbed ab: it has no {COMPARISON}")
    try:
        kept = _KEPT.validate_python(json.loads(file.read_text()))
    except (json.JSONDecodeError, ValidationError) as error:
        raise UserError(f"{file}: not what testbed ab writes: {error}") from error
    arms, metrics = arms_of(run.summary), metrics_of(run.summary)
    found = []
    for one in kept:
        try:
            rates = error_rates(
                arms.get((one.variant, one.base), {}),
                arms.get((one.variant, one.other), {}),
                design=design_of(run.summary),
                criteria=one.comparison.criteria,
                metrics=metrics,
                draws=draws,
                seed=seed,
            )
        except ValueError as error:
            raise UserError(f"{folder}: {one.variant}: {error}") from error
        found.append(StepRates(one.variant, Step(one.base, one.other), tuple(metrics), rates))
    return found
