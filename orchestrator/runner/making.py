"""``kernel-compile`` and ``script``: every domU makes something; nothing goes wrong on purpose."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.machine import ICOUNT_DATE, Machine
from orchestrator.results.oracle import oracle_problems
from orchestrator.runner.oracle_look import OracleLook, oracle_look
from orchestrator.runner.setting import Measured, Setting
from orchestrator.runner.watched import Watched
from orchestrator.workloads import CHECKPOINT_SECONDS, KernelCompile, Script, ToolchainJob

__all__ = ["measure_making"]

_DATE = int(datetime.fromisoformat(f"{ICOUNT_DATE}+00:00").timestamp()) + 3600
"""What domUs take for now where the host's time would be one more input."""


def measure_making(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Build, or run the script, in every domU, with swap as the variant has it.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    watched = Watched(setting, machine, deadline)
    workload = _job(
        setting,
        skew=setting.skew,
        date=_DATE if setting.counts_instructions else None,
        timed=watched.cpu.measuring,
    )
    with oracle_look(setting, machine, watched.domains, deadline) as look:
        if look:
            workload = replace(workload, asking=look.asking)
        with (
            watched.watching(measured) as collector,
            look.watching(collector) if look else nullcontext(collector) as watcher,
        ):
            results = workload.run(machine, watched.domains, deadline, watcher)
        if look:
            results = {name: look.undisturbed(name, one) for name, one in results.items()}
            _keep(setting, look, measured, deadline)
    measured.domains = [
        watched.outcome(
            domain,
            results[domain.name].guest_seconds,
            workload=setting.experiment.workload.kind,
            wall_seconds=results[domain.name].wall_seconds,
            digests=results[domain.name].digests,
        )
        for domain in watched.domains
    ]


def _job(setting: Setting, **fields: Any) -> ToolchainJob:
    experiment = setting.experiment
    if experiment.workload.kind == "script":
        return Script(experiment.script, **fields)
    return KernelCompile(
        targets=experiment.objects,
        others=experiment.other_objects,
        checkpoint_seconds=CHECKPOINT_SECONDS if setting.resumes else 0,
        **fields,
    )


def _keep(setting: Setting, look: OracleLook, measured: Measured, deadline: Deadline) -> None:
    """Work out what the oracle saw, and keep it; or why there is nothing."""
    seen = look.result(deadline)
    measured.oracle_missing = look.missing
    if seen is not None:
        setting.folder.write_oracle(seen)
        # it counts what the store counts, by other means: the books must close here, too
        measured.problems += [f"the oracle: {what}" for what in oracle_problems(seen)]
