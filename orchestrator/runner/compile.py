"""``kernel-compile``: every domU builds once, and nothing goes wrong on purpose."""

from __future__ import annotations

from datetime import datetime
from random import Random

from orchestrator.deadline import Deadline
from orchestrator.frontend import domain_latency
from orchestrator.machine import ICOUNT_DATE, DomainHandle, Machine
from orchestrator.results import DomainOutcome, Latency
from orchestrator.runner.setting import Measured, Setting, sampled
from orchestrator.workloads import (
    CHECKPOINT_SECONDS,
    CompileResult,
    KernelCompile,
    MemoryWatch,
    PageCounts,
    build_memwatch,
    swapped_pages,
)

__all__ = ["measure_compile"]

_DATE = int(datetime.fromisoformat(f"{ICOUNT_DATE}+00:00").timestamp()) + 3600
"""What domUs take for now where the host's time would be one more input."""
_MOST_SKEW = 1.0
"""Seconds of a domU's clock."""


def measure_compile(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Build in every domU, with swap as the variant has it.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    variant = setting.variant
    workload = KernelCompile(
        targets=setting.experiment.objects,
        checkpoint_seconds=CHECKPOINT_SECONDS if setting.resumes else 0,
        skew=_skew(setting),
        date=_DATE if setting.counts_instructions else None,
    )
    described = setting.experiment.domains_of(variant)
    domains = [machine.domains[one.name] for one in described]
    for one in described:
        setting.swap.set_up(machine.domains[one.name], one.swap_mib, deadline)
    watch = MemoryWatch(
        program=build_memwatch(setting.parts.context.cache),
        variant=variant.name,
        interval_ms=round(1000 / setting.experiment.statistics.samples_per_second),
        in_dom0=variant.swap == "dom0-zram",
    )
    before = {domain.name: swapped_pages(domain, deadline) for domain in domains}
    try:
        with (
            sampled(setting, machine, measured) as collector,
            watch.watching(machine, domains, deadline),
        ):
            results = workload.run(machine, domains, deadline, collector)
    finally:
        setting.folder.append_swap(watch.samples)
    measured.domains = [
        _outcome(
            setting,
            domain,
            results[domain.name],
            swapped_pages(domain, deadline).since(before[domain.name]),
        )
        for domain in domains
    ]


def _skew(setting: Setting) -> dict[str, float]:
    """How long each domU waits at first, where repetitions are to differ."""
    seed = setting.variant.seed
    if seed is None:
        return {}
    return {
        one.name: Random(f"{seed} {one.name}").uniform(0, _MOST_SKEW)  # noqa: S311 - no secret
        for one in setting.experiment.domains_of(setting.variant)
    }


def _outcome(
    setting: Setting, domain: DomainHandle, result: CompileResult, pages: PageCounts
) -> DomainOutcome:
    return DomainOutcome(
        name=domain.name,
        memory_mib=domain.description.memory_mib,
        exit_code=result.exit_code,
        guest_seconds=None if setting.counts_instructions else result.guest_seconds,
        instruction_seconds=result.guest_seconds if setting.counts_instructions else None,
        wall_seconds=result.wall_seconds,
        swapped_out_pages=pages.out,
        swapped_in_pages=pages.back,
        digests=result.digests,
        latency=domain_latency(domain) if setting.uses_store else Latency(),
    )
