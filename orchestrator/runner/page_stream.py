"""``page-stream``: how fast a domU's pages go out and come back, wherever they go."""

from __future__ import annotations

from contextlib import nullcontext

from orchestrator.deadline import Deadline
from orchestrator.frontend import domain_latency
from orchestrator.machine import DomainHandle, Machine
from orchestrator.metrics.series import STARTED
from orchestrator.results import DomainOutcome, Latency, PageStreamFigures
from orchestrator.runner.setting import Measured, Setting, sampled
from orchestrator.workloads import PageStream, build_pagegen

__all__ = ["measure_page_stream"]


def measure_page_stream(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Set up swap as the variant has it, and measure in one domU after the other.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    workload, variant = setting.experiment.workload, setting.variant
    assert workload.pages is not None and workload.mix is not None  # the model sees to it
    stream = PageStream(
        program=build_pagegen(setting.parts.context.cache),
        pages=workload.pages,
        mix=workload.mix.parts,
        rounds=workload.rounds,
        seed=setting.seed,
        swap=setting.swap,
    )
    # without the store there is nobody who writes statistics
    sampling = sampled(setting, machine, measured) if setting.uses_store else nullcontext()
    with sampling as collector:
        if collector is not None:
            collector.note(STARTED)
        for one in setting.experiment.domains_of(variant):
            domain = machine.domains[one.name]
            figures = stream.run(domain, one.swap_mib, deadline)
            measured.domains.append(_outcome(setting, domain, figures))


def _outcome(setting: Setting, domain: DomainHandle, figures: PageStreamFigures) -> DomainOutcome:
    return DomainOutcome(
        name=domain.name,
        workload="page-stream",
        memory_mib=domain.description.memory_mib,
        exit_code=1 if figures.mismatches else 0,
        latency=domain_latency(domain) if setting.uses_store else Latency(),
        page_stream=figures,
    )
