"""One variant of an experiment: a machine of its own, booted, measured and torn down."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError
from orchestrator.experiment import Experiment, Variant
from orchestrator.latency import domain_latency
from orchestrator.machine import DomainHandle, Machine
from orchestrator.metrics import Collector, Sample
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.results import DomainOutcome, RunFolder, VariantOutcome
from orchestrator.runner.shape import describe_machine
from orchestrator.workloads import CHECKPOINT_SECONDS, CompileResult, KernelCompile

__all__ = ["VariantRun"]

CONTROL_SECONDS = 60.0


@dataclass
class VariantRun:
    """One variant: a machine of its own, booted, measured and torn down."""

    experiment: Experiment
    variant: Variant
    parts: Parts
    folder: RunFolder
    progress: Progress
    reference: dict[str, str] | None
    earlier: Sequence[Sample] = ()
    """What was sampled before an interruption."""

    def run(self) -> None:
        """Run it and keep its outcome, whatever that is."""
        started = time.monotonic()
        domains: list[DomainOutcome] = []
        verdict, reason, peak = "OK", None, None
        try:
            with self.progress.phase(f"{self.experiment.name}: {self.variant.label}"):
                domains, peak = self._boot_and_measure()
        except TestbedError as error:
            verdict, reason = error.verdict, str(error)
            self.folder.event("variant-failed", {"variant": self.variant.name, "reason": reason})
        outcome = VariantOutcome(
            name=self.variant.name,
            title=self.variant.label,
            randomize_va_space=self.variant.randomize_va_space,
            verdict=verdict,  # type: ignore[arg-type]  # checked by the model
            reason=reason,
            wall_seconds=time.monotonic() - started,
            domains=domains,
            reference_digests=self.reference,
        )
        self.folder.write_variant(outcome, peak)
        if outcome.verdict == "OK":
            self.folder.drop_state(self.variant.name)

    def _boot_and_measure(self) -> tuple[list[DomainOutcome], dict[str, object]]:
        limits = self.experiment.limits
        description = describe_machine(self.experiment, self.variant)
        with tempfile.TemporaryDirectory(prefix="testbed-payload-") as payload:
            files = self.parts.files(description, Path(payload))
            boot = Machine.boot(
                description,
                files,
                self.folder.path,
                Deadline.after(limits.boot_seconds),
                consoles=self.folder.console_of(self.variant.name),
                state=self.folder.state_of(self.variant.name) if self._resumes else None,
                log=self.progress.log,
            )
            with boot as machine:
                self._note_boot(machine)
                return self._measure(machine, Deadline.after(limits.variant_seconds))

    @property
    def _resumes(self) -> bool:
        return self.experiment.workload.resume

    def _note_boot(self, machine: Machine) -> None:
        name = self.variant.name
        self.folder.event("booted", {"variant": name, "seconds": dict(machine.timings)})
        self.folder.note_machine(name, machine.qemu_argv)

    def _measure(
        self, machine: Machine, deadline: Deadline
    ) -> tuple[list[DomainOutcome], dict[str, object]]:
        statistics = self.experiment.statistics
        collector = Collector(
            machine.qmp,
            self.folder.append_sample,
            samples_per_second=statistics.samples_per_second,
            longest_gap_seconds=statistics.longest_gap_seconds,
        )
        workload = KernelCompile(
            targets=self.experiment.objects,
            checkpoint_seconds=CHECKPOINT_SECONDS if self._resumes else 0,
        )
        domains = [machine.domains[domain.name] for domain in self.experiment.domains]
        machine.store.reset_peak(Deadline.after(CONTROL_SECONDS))
        sampled = self.earlier[-1].seconds if self.earlier else 0.0
        with _sampling(collector, self.variant.name, sampled):
            results = workload.run(machine, domains, deadline, collector)
        peak = machine.store.peak(Deadline.after(CONTROL_SECONDS))
        return [self._outcome(domain, results[domain.name]) for domain in domains], peak

    def _outcome(self, domain: DomainHandle, result: CompileResult) -> DomainOutcome:
        return DomainOutcome(
            name=domain.name,
            exit_code=result.exit_code,
            guest_seconds=result.guest_seconds,
            wall_seconds=result.wall_seconds,
            digests=result.digests,
            latency=domain_latency(domain),
        )


@contextmanager
def _sampling(collector: Collector, variant: str, after: float) -> Iterator[None]:
    collector.start(variant, after)
    try:
        yield
    except BaseException:
        with suppress(TestbedError):  # what ended the variant is the news
            collector.stop()
        raise
    collector.stop()
