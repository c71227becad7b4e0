"""What the run of one variant is given, and what it leaves behind however it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError
from orchestrator.experiment import Experiment, Oracle, Variant
from orchestrator.machine import Machine, MachineDescription
from orchestrator.metrics import Collector, Sample
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.results import DomainOutcome, FaultOutcome, HostileFigures, RunFolder
from orchestrator.workloads import DomainSwap

__all__ = ["CONTROL_SECONDS", "Measured", "Setting", "sampled"]

CONTROL_SECONDS = 60.0
_MOST_SKEW = 1.0
"""Seconds of a domU's clock."""


@dataclass(frozen=True)
class Setting:
    """One variant and what it is run with."""

    experiment: Experiment
    variant: Variant
    parts: Parts
    folder: RunFolder
    progress: Progress
    reference: dict[str, str] | None
    """SHA-256 of each object, as a domU builds it that does not swap, or of what a script
    prints there; or what the rounds over working sets must read."""
    earlier: Sequence[Sample] = ()
    """What was sampled before an interruption."""

    @property
    def own_digests(self) -> bool:
        """Whether each domU has items of its own in the reference, by ``of_domain``."""
        kind, others = self.experiment.workload.kind, self.experiment.other_objects
        return kind == "working-set" or bool(others)

    @property
    def resumes(self) -> bool:
        """Whether an interrupted run of it goes on."""
        return self.experiment.workload.resume

    @property
    def starts_warm(self) -> bool:
        """Whether it starts from a machine that was kept after its boot."""
        wanted = self.experiment.warm_start
        return not self.resumes and (self.counts_instructions if wanted is None else wanted)

    @property
    def seed(self) -> int:
        """The variant's own, or else the experiment's."""
        return self.experiment.seed if self.variant.seed is None else self.variant.seed

    def seeds(self, description: MachineDescription) -> dict[str, bytes] | None:
        """What each kernel draws its random numbers from; None: from the host's."""
        if not self.counts_instructions:
            return None
        names = ["dom0", *(domain.name for domain in description.domains)]
        return {name: hashlib.sha512(f"{self.seed} {name}".encode()).digest() for name in names}

    @property
    def skew(self) -> dict[str, float]:
        """How long each domU waits at first, where repetitions are to differ."""
        seed = self.variant.seed
        if seed is None:
            return {}
        return {
            one.name: Random(f"{seed} {one.name}").uniform(0, _MOST_SKEW)  # noqa: S311 - no secret
            for one in self.experiment.domains_of(self.variant)
        }

    @property
    def uses_store(self) -> bool:
        """Whether swapped pages go to the store."""
        return self.variant.swap == "pageshare"

    @property
    def oracle(self) -> Oracle | None:
        """The look at how much sharing is possible; None where there is none to be."""
        return self.experiment.oracle if self.uses_store else None

    @property
    def counts_instructions(self) -> bool:
        """Whether the guests' clock is one of counted instructions."""
        return self.experiment.timing == "icount"

    @property
    def swap(self) -> DomainSwap:
        """How its domUs swap."""
        return DomainSwap(self.variant.swap, self.variant.compressor)


@dataclass
class Measured:
    """Filled in as it becomes known, so that a failure leaves what came before it."""

    domains: list[DomainOutcome] = field(default_factory=list)
    peak: dict[str, object] | None = None
    dom0_cpu_seconds: float | None = None
    faults: list[FaultOutcome] = field(default_factory=list)
    builds: int | None = None
    hostile: HostileFigures | None = None
    problems: list[str] = field(default_factory=list)
    oracle_missing: str | None = None
    """Why the oracle that was asked for says nothing."""


@contextmanager
def sampled(setting: Setting, machine: Machine, measured: Measured) -> Iterator[Collector]:
    """QEMU's and the store's statistics are sampled inside; at its end, the store's peak is kept.

    Where there is no store, QEMU's and dom0's are sampled all the same.
    """
    statistics = setting.experiment.statistics
    collector = Collector(
        machine.qmp,
        setting.folder.append_sample,
        samples_per_second=statistics.samples_per_second,
        longest_gap_seconds=statistics.longest_gap_seconds,
        # a counted clock stands still, as the host sees it, whenever the host is busy
        hears_store=setting.uses_store and not setting.counts_instructions,
    )
    if setting.uses_store:
        machine.store.reset_peak(Deadline.after(CONTROL_SECONDS))
    collector.start(setting.variant.name, setting.earlier[-1].seconds if setting.earlier else 0.0)
    try:
        yield collector
    except BaseException:
        with suppress(TestbedError):  # what ended the variant is the news
            collector.stop()
        raise
    collector.stop()
    if setting.uses_store:
        measured.peak = machine.store.peak(Deadline.after(CONTROL_SECONDS))
