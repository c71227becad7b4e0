"""One variant of an experiment: a machine of its own, booted, measured and torn down."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError
from orchestrator.kept import kept_machine, resumed
from orchestrator.machine import Machine, MachineDescription, MachineFiles
from orchestrator.results import VariantOutcome
from orchestrator.runner.churn import measure_churn
from orchestrator.runner.faulty_compile import measure_faulty_compile
from orchestrator.runner.host_load import host_load
from orchestrator.runner.making import measure_making
from orchestrator.runner.page_stream import measure_page_stream
from orchestrator.runner.setting import Measured, Setting
from orchestrator.runner.shape import describe_machine
from orchestrator.runner.working_set import measure_working_set

__all__ = ["VariantRun"]


@dataclass
class VariantRun:
    """One variant: a machine of its own, booted, measured and torn down."""

    setting: Setting
    measured: Measured = field(default_factory=Measured)

    def run(self) -> None:
        """Run it and keep its outcome, whatever that is."""
        setting, variant = self.setting, self.setting.variant
        started = time.monotonic()
        verdict, reason = "OK", None
        try:
            with (
                setting.progress.phase(f"{setting.experiment.name}: {variant.label}"),
                host_load(variant.host_load),
            ):
                self._boot_and_measure()
        except TestbedError as error:
            verdict, reason = error.verdict, str(error)
            setting.folder.event("variant-failed", {"variant": variant.name, "reason": reason})
        outcome = VariantOutcome(
            name=variant.name,
            title=variant.label,
            randomize_va_space=variant.randomize_va_space,
            swap=variant.swap,
            timing=setting.experiment.timing,
            expect=variant.expect,
            verdict=verdict,  # type: ignore[arg-type]  # checked by the model
            reason=reason,
            wall_seconds=time.monotonic() - started,
            domains=self.measured.domains,
            dom0_cpu_seconds=self.measured.dom0_cpu_seconds,
            reference_digests=setting.reference,
            own_digests=setting.own_digests,
            faults=self.measured.faults,
            builds=self.measured.builds,
            kernel=variant.domu_kernel,
            host_load=variant.host_load,
            hostile=self.measured.hostile,
            problems=self.measured.problems,
            oracle_missing=self.measured.oracle_missing,
        )
        setting.folder.write_variant(outcome, self.measured.peak)
        if outcome.verdict == variant.expect:
            setting.folder.drop_state(variant.name)

    def _boot_and_measure(self) -> None:
        setting, name = self.setting, self.setting.variant.name
        limits = setting.experiment.limits
        description = describe_machine(setting.experiment, setting.variant)
        with tempfile.TemporaryDirectory(prefix="testbed-payload-") as payload:
            files = setting.parts.files(description, Path(payload))
            with self._machine(description, files) as machine:
                setting.folder.event("booted", {"variant": name, "seconds": dict(machine.timings)})
                setting.folder.note_machine(name, machine.qemu_argv)
                self._measure(machine, Deadline.after(limits.variant_seconds))

    @contextmanager
    def _machine(self, description: MachineDescription, files: MachineFiles) -> Iterator[Machine]:
        """One that has just booted, or goes on from where such a one was kept."""
        setting, name = self.setting, self.setting.variant.name
        seconds = setting.experiment.limits.boot_seconds
        start_store = setting.uses_store and setting.variant.lies_to is None
        if setting.starts_warm:
            kept = kept_machine(
                setting.parts,
                description,
                files,
                start_store=start_store,
                boot_seconds=seconds,
                log=setting.progress.log,
            )
            again = resumed(
                kept,
                description,
                files,
                setting.folder.path,
                Deadline.after(seconds),
                consoles=setting.folder.console_of(name),
                seeds=setting.seeds(description),
                log=setting.progress.log,
            )
            with again as machine:
                yield machine
            return
        boot = Machine.boot(
            description,
            files,
            setting.folder.path,
            Deadline.after(seconds),
            consoles=setting.folder.console_of(name),
            state=setting.folder.state_of(name) if setting.resumes else None,
            start_store=start_store,
            log=setting.progress.log,
        )
        with boot as machine:
            yield machine

    def _measure(self, machine: Machine, deadline: Deadline) -> None:
        setting = self.setting
        domains = setting.experiment.domains_of(setting.variant)
        if setting.experiment.workload.kind == "page-stream":
            measure_page_stream(setting, machine, deadline, self.measured)
        elif setting.experiment.workload.kind == "churn":
            measure_churn(setting, machine, deadline, self.measured)
        elif setting.experiment.workload.kind == "working-set":
            measure_working_set(setting, machine, deadline, self.measured)
        elif setting.variant.faults or any(domain.pages_only for domain in domains):
            measure_faulty_compile(setting, machine, deadline, self.measured)
        else:
            measure_making(setting, machine, deadline, self.measured)
