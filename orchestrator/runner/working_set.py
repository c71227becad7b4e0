"""``working-set``: every domU works on more pages than its memory holds, wherever they go."""

from __future__ import annotations

from orchestrator.deadline import Deadline
from orchestrator.experiment import Experiment, Variant
from orchestrator.machine import DomainHandle, Machine
from orchestrator.results import DomainOutcome, WorkingSetFigures
from orchestrator.runner.setting import Measured, Setting
from orchestrator.runner.watched import Watched
from orchestrator.workloads import SetPlan, WorkingSet, WorkingSetResult, build_pagegen

__all__ = ["measure_working_set", "numbers_of", "plan_of"]


def measure_working_set(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Work in every domU, with swap as the variant has it.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    watched = Watched(setting, machine, deadline)
    plan = plan_of(setting.experiment, setting.variant)
    workload = WorkingSet(
        program=build_pagegen(setting.parts.context.cache),
        plan=plan,
        numbers=numbers_of(setting.experiment),
        skew=setting.skew,
        timed=watched.cpu.measuring,
    )
    with watched.watching(measured) as collector:
        results = workload.run(machine, watched.domains, deadline, collector)
    measured.domains = [
        _outcome(watched, plan, domain, results[domain.name]) for domain in watched.domains
    ]


def plan_of(experiment: Experiment, variant: Variant) -> SetPlan:
    """What the domUs of a variant do; with the variant's own seed, if it has one."""
    workload = experiment.workload
    assert workload.pages is not None and workload.shares is not None  # the model sees to it
    return SetPlan(
        pages=workload.pages,
        shares=workload.shares.parts,
        rounds=workload.rounds,
        rewrite=workload.rewrite,
        seed=experiment.seed if variant.seed is None else variant.seed,
        similar_words=workload.similar_words,
    )


def numbers_of(experiment: Experiment) -> dict[str, int]:
    """A domU's number by its name: the same in every variant that it is part of."""
    return {one.name: number for number, one in enumerate(experiment.domains)}


def _outcome(
    watched: Watched, plan: SetPlan, domain: DomainHandle, result: WorkingSetResult
) -> DomainOutcome:
    return watched.outcome(
        domain,
        result.seconds,
        workload="working-set",
        wall_seconds=result.wall_seconds,
        digests=result.digests,
        working_set=WorkingSetFigures(
            pages=plan.pages,
            rounds=plan.rounds,
            rewrites=result.rewrites,
            verified=result.verified,
            fill_seconds=result.fill_seconds,
        ),
    )
