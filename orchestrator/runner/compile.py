"""``kernel-compile``: every domU builds once, and nothing goes wrong on purpose."""

from __future__ import annotations

from orchestrator.deadline import Deadline
from orchestrator.machine import Machine
from orchestrator.runner.setting import Measured, Setting, compile_outcome, sampled
from orchestrator.workloads import CHECKPOINT_SECONDS, KernelCompile

__all__ = ["measure_compile"]


def measure_compile(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Build in every domU.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    workload = KernelCompile(
        targets=setting.experiment.objects,
        checkpoint_seconds=CHECKPOINT_SECONDS if setting.resumes else 0,
    )
    domains = [machine.domains[one.name] for one in setting.experiment.domains_of(setting.variant)]
    with sampled(setting, machine, measured) as collector:
        results = workload.run(machine, domains, deadline, collector)
    measured.domains = [compile_outcome(domain, results[domain.name]) for domain in domains]
