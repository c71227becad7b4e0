"""``churn``: every domU's pages go out and come back for a while, and each is compared.

The store may be one that lies to one of the domUs; then the pages that it spoils
come back as errors, never as other bytes. The kernels may be debug kernels; what
they report is a problem, and so is memory of the frontend that nobody points to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict

from orchestrator.deadline import Deadline
from orchestrator.errors import TestbedError
from orchestrator.frontend import domain_counters, domain_latency
from orchestrator.machine import DomainHandle, HostileStore, Machine, kernel_reports
from orchestrator.metrics.series import STARTED
from orchestrator.results import ChurnFigures, DomainOutcome, HostileFigures
from orchestrator.runner.setting import CONTROL_SECONDS, Measured, Setting, sampled
from orchestrator.workloads import PageChurn, RunningChurn, build_pagegen

__all__ = ["measure_churn"]

LOOK_SECONDS = 2.0
READY_SECONDS = 60.0
END_SECONDS = 180.0
SHOWN = 8

_LEAKS = """\
cd /sys/kernel/debug && echo scan >kmemleak && sleep 6 && echo scan >kmemleak && cat kmemleak"""
"""An object is told at the second scan that does not find it; younger ones than 5 s never are."""
_OURS = "pageshare"
"""In the name of at least one function of every stack that allocates for the frontend."""


def measure_churn(
    setting: Setting, machine: Machine, deadline: Deadline, measured: Measured
) -> None:
    """Let every domU's loops run for as long as the experiment says.

    Raises:
        WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as the workload has it.
    """
    victim = setting.variant.lies_to
    try:
        if victim is None:
            with sampled(setting, machine, measured) as collector:
                collector.note(STARTED)
                running = _start(setting, machine, deadline)
                _watch(setting, machine, running, deadline)
                _finish(running, deadline, measured)
        else:
            with _lying(setting, machine, victim, measured) as hostile:
                running = _start(setting, machine, deadline)
                _watch(setting, machine, running, deadline, hostile.check)
            # and back to the real store, which finds what there is
            machine.store.start_again(Deadline.after(READY_SECONDS))
            _finish(running, deadline, measured)
    finally:
        measured.problems += _reports(machine)
    if setting.variant.kernel == "debug":
        for domain in machine.domains.values():
            measured.problems += _leaks(domain, deadline)


@contextmanager
def _lying(
    setting: Setting, machine: Machine, victim: str, measured: Measured
) -> Iterator[HostileStore]:
    """The store lies inside; what it told is kept however that ends."""
    hostile = HostileStore.of(machine, victim, setting.experiment.seed)
    hostile.start(Deadline.after(READY_SECONDS))
    hostile.wait_ready(Deadline.after(READY_SECONDS))
    try:
        yield hostile
    except TestbedError:
        with suppress(TestbedError):  # what ended the variant is the news
            measured.hostile = _told(setting, machine, hostile)
        raise
    hostile.stop(Deadline.after(READY_SECONDS))
    measured.hostile = _told(setting, machine, hostile)


def _start(setting: Setting, machine: Machine, deadline: Deadline) -> list[RunningChurn]:
    workload, variant = setting.experiment.workload, setting.variant
    assert workload.pages is not None  # the model sees to it
    program = build_pagegen(setting.parts.context.cache)
    running: list[RunningChurn] = []
    for number, one in enumerate(setting.experiment.domains_of(variant)):
        churn = PageChurn(
            program=program,
            pages=workload.pages,
            loops=workload.loops,
            seed=setting.experiment.seed + 10_000_000 * number,
            tolerate=one.name == variant.lies_to,
        )
        running.append(churn.start(machine.domains[one.name], deadline))
    return running


def _watch(
    setting: Setting,
    machine: Machine,
    running: Sequence[RunningChurn],
    deadline: Deadline,
    check_store: Callable[[], None] = lambda: None,
) -> None:
    """For as long as the experiment says."""
    assert setting.experiment.workload.seconds is not None  # the model sees to it
    end = time.monotonic() + setting.experiment.workload.seconds
    while time.monotonic() < end:
        machine.check_all()
        check_store()
        for churning in running:
            churning.check(deadline)
        time.sleep(LOOK_SECONDS)


def _finish(running: Sequence[RunningChurn], deadline: Deadline, measured: Measured) -> None:
    for churning in running:
        churned = churning.finish(deadline.within(END_SECONDS))
        measured.domains.append(
            DomainOutcome(
                name=churning.domain.name,
                workload="churn",
                exit_code=1 if churned.mismatches else 0,
                latency=domain_latency(churning.domain),
                churn=ChurnFigures(**asdict(churned)),
            )
        )


def _told(setting: Setting, machine: Machine, hostile: HostileStore) -> HostileFigures:
    """What the store told, and what the frontend counted."""
    assert setting.variant.lies_to is not None
    counters = domain_counters(machine.domains[setting.variant.lies_to])
    report = hostile.report(Deadline.after(CONTROL_SECONDS))
    return HostileFigures(seed=setting.experiment.seed, counters=counters, **report)


def _reports(machine: Machine) -> list[str]:
    """What any kernel's console says that it should not."""
    found = []
    for name in ("xen-dom0", *machine.domains):
        reports = kernel_reports(machine.console(name).text())
        found += [f"{name}: kernel report: {report}" for report in reports[:SHOWN]]
        if len(reports) > SHOWN:
            found.append(f"{name}: {len(reports) - SHOWN} more lines of kernel reports")
    return found


def _leaks(domain: DomainHandle, deadline: Deadline) -> list[str]:
    """Memory that the frontend allocated and that nobody points to."""
    said = domain.ssh.run(_LEAKS, deadline=deadline.within(END_SECONDS)).stdout
    objects = said.split("unreferenced object")[1:]
    ours = [one for one in objects if _OURS in one]
    return [f"{domain.name}: kmemleak: {' '.join(one.split())[:400]}" for one in ours]
