"""What all work of all domUs has in common: swap is set up, and watched to the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.frontend import domain_latency
from orchestrator.machine import DOM0, CpuTime, DomainHandle, Machine
from orchestrator.metrics import Collector
from orchestrator.results import DomainOutcome, Latency
from orchestrator.runner.setting import Measured, Setting, sampled
from orchestrator.workloads import MemoryWatch, PageCounts, build_memwatch, swapped_pages

__all__ = ["Watched"]


@dataclass
class Watched:
    """One workload that every domU does once, from one barrier."""

    setting: Setting
    machine: Machine
    deadline: Deadline
    cpu: CpuTime = field(init=False)
    """For the workload, which knows when its barrier is."""
    _before: dict[str, PageCounts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cpu = CpuTime(self.machine, partial(_no_cpu_time, self.setting))

    @property
    def domains(self) -> list[DomainHandle]:
        """Those of the variant, in the order of the file."""
        described = self.setting.experiment.domains_of(self.setting.variant)
        return [self.machine.domains[one.name] for one in described]

    @contextmanager
    def watching(self, measured: Measured) -> Iterator[Collector]:
        """The workload runs inside; what was seen of memory is kept however that ends."""
        setting, variant = self.setting, self.setting.variant
        for one in setting.experiment.domains_of(variant):
            setting.swap.set_up(self.machine.domains[one.name], one.swap_mib, self.deadline)
        watch = MemoryWatch(
            program=build_memwatch(setting.parts.context.cache),
            variant=variant.name,
            interval_ms=round(1000 / setting.experiment.statistics.samples_per_second),
            in_dom0=variant.swap == "dom0-zram",
        )
        self._before = {one.name: swapped_pages(one, self.deadline) for one in self.domains}
        try:
            with (
                sampled(setting, self.machine, measured) as collector,
                watch.watching(self.machine, self.domains, self.deadline),
            ):
                yield collector
        finally:
            setting.folder.append_swap(watch.samples)
        measured.dom0_cpu_seconds = self.cpu.seconds.get(DOM0)

    def outcome(self, domain: DomainHandle, seconds: float, **figures: Any) -> DomainOutcome:
        """Of a domU whose work has ended well.

        Args:
            seconds: that its work took, on the clock that it has.
            figures: other fields of the outcome.
        """
        setting = self.setting
        pages = swapped_pages(domain, self.deadline).since(self._before[domain.name])
        return DomainOutcome(
            name=domain.name,
            memory_mib=domain.description.memory_mib,
            exit_code=0,
            guest_seconds=None if setting.counts_instructions else seconds,
            instruction_seconds=seconds if setting.counts_instructions else None,
            swapped_out_pages=pages.out,
            swapped_in_pages=pages.back,
            cpu_seconds=self.cpu.seconds.get(domain.name),
            latency=domain_latency(domain) if setting.uses_store else Latency(),
            **figures,
        )


def _no_cpu_time(setting: Setting, reason: str) -> None:
    setting.folder.event("no-cpu-time", {"variant": setting.variant.name, "reason": reason})
