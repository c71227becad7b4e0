"""``kernel-compile``: every domU builds once, and nothing goes wrong on purpose."""

from __future__ import annotations

from datetime import datetime

from orchestrator.deadline import Deadline
from orchestrator.machine import ICOUNT_DATE, Machine
from orchestrator.runner.setting import Measured, Setting
from orchestrator.runner.watched import Watched
from orchestrator.workloads import CHECKPOINT_SECONDS, KernelCompile

__all__ = ["measure_compile"]

_DATE = int(datetime.fromisoformat(f"{ICOUNT_DATE}+00:00").timestamp()) + 3600
"""What domUs take for now where the host's time would be one more input."""


def measure_compile(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Build in every domU, with swap as the variant has it.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    watched = Watched(setting, machine, deadline)
    workload = KernelCompile(
        targets=setting.experiment.objects,
        checkpoint_seconds=CHECKPOINT_SECONDS if setting.resumes else 0,
        skew=setting.skew,
        date=_DATE if setting.counts_instructions else None,
        timed=watched.cpu.measuring,
    )
    with watched.watching(measured) as collector:
        results = workload.run(machine, watched.domains, deadline, collector)
    measured.domains = [
        watched.outcome(
            domain,
            results[domain.name].guest_seconds,
            wall_seconds=results[domain.name].wall_seconds,
            digests=results[domain.name].digests,
        )
        for domain in watched.domains
    ]
