"""An experiment from its file to its summary: build, then boot and measure each variant."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.build import build_parts
from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError
from orchestrator.experiment import Experiment, Variant
from orchestrator.latency import domain_latency
from orchestrator.machine import (
    DomainDescription,
    DomainHandle,
    Machine,
    MachineDescription,
    StoreDescription,
    address_of,
)
from orchestrator.metrics import Collector, Sample
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.provenance import manifest_of
from orchestrator.reference import reference_digests
from orchestrator.results import (
    DomainOutcome,
    RunFolder,
    Summary,
    VariantOutcome,
    finish_run,
    read_run,
)
from orchestrator.workloads import CHECKPOINT_SECONDS, CompileResult, KernelCompile

__all__ = ["describe_machine", "run_experiment"]

CONTROL_SECONDS = 60.0


def run_experiment(
    experiment: Experiment, file: Path, results: Path, progress: Progress, *, anew: bool = False
) -> tuple[Path, Summary]:
    """Run every variant and return the run's folder and its summary.

    A variant that fails is part of the result, with its verdict; the others
    are run all the same. An experiment whose workload has ``resume`` goes on
    with its newest interrupted run, in that run's folder.

    Args:
        anew: leave an interrupted run alone and begin another.

    Raises:
        UserError: before anything is built or booted.
        InfrastructureError: the artifacts could not be built.
    """
    describe_machine(experiment, experiment.variants[0])  # a bad shape is known at once
    parts = build_parts(progress)
    manifest = manifest_of(experiment, file, parts.artifacts)
    resumed = None
    if experiment.workload.resume and not anew:
        resumed = RunFolder.resume(results, manifest)
    with resumed or RunFolder.create(results, manifest) as folder:
        if resumed:
            progress.console.print(f"going on with {folder.path}; --anew begins another run")
        progress.also_to(folder.path / "commands.log")
        reference = reference_digests(parts, experiment, folder, progress)
        done = read_run(folder.path)
        ended_well = {name for name, kept in done.variants.items() if kept.outcome.verdict == "OK"}
        for variant in experiment.variants:
            if variant.name in ended_well:
                continue
            earlier = done.samples_of(variant.name).samples
            _VariantRun(experiment, variant, parts, folder, progress, reference, earlier).run()
        with progress.phase("figures and report"):
            summary = finish_run(folder)
    return folder.path, summary


def describe_machine(experiment: Experiment, variant: Variant) -> MachineDescription:
    """The machine that one variant of an experiment runs on.

    Raises:
        UserError: the domUs do not fit into the machine.
    """
    store = StoreDescription(
        arena_bytes=experiment.arena_bytes,
        mark_interval_ms=experiment.store.mark_interval_ms,
        max_data_pages=experiment.store.max_data_pages,
    )
    return (
        MachineDescription.load()
        .with_domains(())
        .with_store(store)
        .with_domains(
            DomainDescription(
                name=domain.name,
                address=address_of(index),
                memory_mib=domain.memory_mib,
                quota_bytes=domain.quota_bytes,
                group=domain.group,
                swap_mib=domain.swap_mib,
                randomize_va_space=variant.randomize_va_space,
            )
            for index, domain in enumerate(experiment.domains)
        )
    )


@dataclass
class _VariantRun:
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
