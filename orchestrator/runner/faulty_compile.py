"""``kernel-compile`` while things go wrong on purpose.

The domUs build their objects over and over until every fault has struck and the
build that runs then has ended. Every build's objects are compared at its end.
Where the variant is expected to fail, a build that fails is followed by the next
one all the same, pages that fail leave the build alone, and the first failure is
raised at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError, WorkloadFailed
from orchestrator.experiment import Domain
from orchestrator.faults import Injector, schedule
from orchestrator.frontend import domain_latency
from orchestrator.machine import DomainHandle, Machine
from orchestrator.metrics import Collector
from orchestrator.metrics.series import STARTED
from orchestrator.results import DomainOutcome, FaultOutcome, Latency
from orchestrator.results.digests import compare_digests
from orchestrator.runner.setting import Measured, Setting, sampled
from orchestrator.workloads import (
    JobResult,
    KernelCompile,
    PageLoop,
    PageLoops,
    build_pagegen,
)

__all__ = ["measure_faulty_compile"]

ASK_SECONDS = 120.0
"""One question to a domU, whatever happens to its swapped pages meanwhile."""
SHOWN = 4


def measure_faulty_compile(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Build until every fault of the variant has struck.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: what ended it;
            in a variant that is expected to fail, the first build's failure.
    """
    _FaultyCompile(setting, machine, deadline, measured).run()


@dataclass
class _FaultyCompile:
    setting: Setting
    machine: Machine
    deadline: Deadline
    measured: Measured
    last: dict[str, JobResult] = field(default_factory=dict)
    """The newest complete build, by domU."""
    existing: dict[str, dict[str, str]] = field(default_factory=dict)
    """Digests of what a failed build left, by domU."""
    failure: WorkloadFailed | None = None
    """The first one that was expected."""

    def run(self) -> None:
        variant = self.setting.variant
        asking = threading.Lock()
        self.measured.builds = 0
        loops = PageLoops(
            program=build_pagegen(self.setting.parts.context.cache) if self._pagers else None,
            loops={
                one.name: PageLoop(one.pages, self.setting.experiment.seed) for one in self._pagers
            },
            asking=lambda: asking,
            problems=self.measured.problems,
        )
        injector = Injector(
            machine=self.machine,
            strikes=schedule(self.setting.experiment.seed, variant.name, variant.faults),
            loops=loops,
            struck=self._struck,
            asking=asking,
            problems=self.measured.problems,
        )
        workload = KernelCompile(
            targets=self.setting.experiment.objects,
            others=self.setting.experiment.other_objects,
            clean=True,
            patient=variant.expect != "OK",
            asking=lambda: asking,
        )
        try:
            with sampled(self.setting, self.machine, self.measured) as collector, injector:
                for pager in self._pagers:
                    loops.start(self.machine.domains[pager.name], self.deadline)
                watcher = _Watcher(collector, injector, loops, self._lost_pages, self.deadline)
                self._build_on(workload, watcher, injector)
                injector.stop()
                loops.finish(self.deadline)
        except TestbedError:
            self.measured.domains = self._outcomes(loops)
            raise
        self.measured.domains = self._outcomes(loops)
        if self.failure is not None:
            raise self.failure

    def _build_on(self, workload: KernelCompile, watcher: _Watcher, injector: Injector) -> None:
        """Build until every fault has struck."""
        builds = 0
        while True:
            builds += 1
            try:
                results = workload.run(self.machine, self._builders, self.deadline, watcher)
            except WorkloadFailed as error:
                self._failed(workload, builds, error)
                self._expected(error)
            else:
                self._complete(builds, results)
            injector.check()
            if injector.done:
                return

    def _expected(self, error: WorkloadFailed) -> None:
        """Go on after a failure that was expected; raise one that was not."""
        if self.setting.variant.expect == "OK":
            raise error
        self.failure = self.failure or error

    def _lost_pages(self, error: WorkloadFailed) -> None:
        self._event("pages-failed", {"reason": str(error)})
        self._expected(error)

    def _complete(self, number: int, results: dict[str, JobResult]) -> None:
        self.last = results
        self.existing = {}
        self.measured.builds = (self.measured.builds or 0) + 1
        seconds = {name: result.guest_seconds for name, result in results.items()}
        self._event("build", {"number": number, "guest_seconds": seconds})
        self._compare(number, {name: result.digests for name, result in results.items()})

    def _failed(self, workload: KernelCompile, number: int, error: WorkloadFailed) -> None:
        self._event("build-failed", {"number": number, "reason": str(error)})
        self.existing = {}
        for domain in self._builders:
            # it may have lost what it needs to answer
            with suppress(TestbedError), workload.asking():
                self.existing[domain.name] = workload.existing(
                    domain, self.deadline.within(ASK_SECONDS)
                )
        self._compare(number, self.existing, partial=True)

    def _compare(
        self, number: int, digests: dict[str, dict[str, str]], *, partial: bool = False
    ) -> None:
        setting = self.setting
        differing = compare_digests(
            digests, setting.reference, own=setting.own_digests, partial=partial
        ).differing
        shown = [f"build {number}: {one} differs" for one in differing[:SHOWN]]
        if len(differing) > SHOWN:
            shown.append(f"build {number}: {len(differing) - SHOWN} more objects differ")
        self.measured.problems += shown

    def _struck(self, fault: FaultOutcome) -> None:
        self.measured.faults.append(fault)
        self._event("fault", fault.model_dump())

    def _event(self, event: str, detail: dict[str, object]) -> None:
        self.setting.folder.event(event, {"variant": self.setting.variant.name, **detail})
        self.setting.progress.log(f"{event}: {detail}")

    def _outcomes(self, loops: PageLoops) -> list[DomainOutcome]:
        found = []
        for domain in self._domains:
            result = self.last.get(domain.name)
            found.append(
                DomainOutcome(
                    name=domain.name,
                    workload="pages" if domain.pages_only else "kernel-compile",
                    exit_code=result.exit_code if result else None,
                    guest_seconds=result.guest_seconds if result else None,
                    wall_seconds=result.wall_seconds if result else None,
                    digests=self.existing.get(domain.name) or (result and result.digests) or None,
                    latency=self._latency(domain.name),
                    rounds=loops.rounds.get(domain.name) if domain.pages_only else None,
                )
            )
        return found

    def _latency(self, name: str) -> Latency:
        try:
            return domain_latency(self.machine.domains[name])
        except (TestbedError, KeyError):
            return Latency()  # it ended, or hangs: what is missing is null

    @property
    def _domains(self) -> Sequence[Domain]:
        return self.setting.experiment.domains_of(self.setting.variant)

    @property
    def _pagers(self) -> list[Domain]:
        return [domain for domain in self._domains if domain.pages_only]

    @property
    def _builders(self) -> list[DomainHandle]:
        return [self.machine.domains[one.name] for one in self._domains if not one.pages_only]


@dataclass
class _Watcher:
    """Looks on while a build runs; the first build's start is the faults' too."""

    collector: Collector
    injector: Injector
    loops: PageLoops
    lost_pages: Callable[[WorkloadFailed], None]
    """Called with a loop's failure; raises it where going on is pointless."""
    deadline: Deadline

    def note(self, note: str, /) -> None:
        self.collector.note(note)
        if note == STARTED:
            self.injector.start()

    def check(self) -> None:
        self.collector.check()
        self.injector.check()
        try:
            self.loops.check(self.deadline.within(ASK_SECONDS))
        except WorkloadFailed as error:
            self.lost_pages(error)
