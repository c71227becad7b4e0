"""Jobs of several domUs that begin at one barrier and are waited for together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestError, GuestHung, WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle, Machine

__all__ = ["Nobody", "Together", "Watcher", "failure", "prepare_all", "release"]


class Watcher(Protocol):
    """What looks on while a workload runs, such as the metrics collector."""

    def note(self, note: str, /) -> None:
        """Take down that something happened now."""

    def check(self) -> None:
        """Raise if going on has become pointless."""


class Nobody:
    """A watcher that sees nothing."""

    def note(self, note: str, /) -> None:
        """Forget it."""

    def check(self) -> None:
        """Never mind."""


@dataclass(frozen=True)
class Together:
    """How the jobs of all domUs are waited for."""

    what: str
    """The work, for messages: ``the build``."""
    fail: Callable[[str, DetachedJob, int], WorkloadFailed]
    """What a domU's job that ended with another status than 0 is told as."""
    patient: bool = False
    """Where one fails, wait for the other domUs' ends before it is told."""
    poll_seconds: float = 0.5
    """How often their consoles are looked at for a sign that they are done."""
    asking: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held while a domU is asked something."""

    timed: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held from just before the barrier until the last domU's end."""

    def run(
        self,
        machine: Machine,
        jobs: Mapping[str, DetachedJob],
        start: Deadline,
        deadline: Deadline,
        watcher: Watcher,
    ) -> dict[str, float]:
        """Start prepared jobs at one barrier; seconds of the host's clock that each took.

        Args:
            start: until when all must have been started.

        Raises:
            WorkloadFailed, GuestHung, GuestPanic, InfrastructureError: as :meth:`wait`.
        """
        with self.timed():
            with self.asking():
                started = release(machine, list(jobs.values()), start)
            watcher.note("workload-started")
            ended = self.wait(machine, jobs, deadline, watcher)
            watcher.note("workload-ended")
        return {name: ended[name] - started for name in jobs}

    def wait(
        self,
        machine: Machine,
        jobs: Mapping[str, DetachedJob],
        deadline: Deadline,
        watcher: Watcher,
    ) -> dict[str, float]:
        """Host seconds at which each job was seen to have ended; all well.

        Raises:
            WorkloadFailed: one ended otherwise.
            GuestHung: one did not end.
            GuestPanic, InfrastructureError: as the machine has it.
        """
        ended: dict[str, float] = {}
        failures: list[WorkloadFailed] = []
        while len(ended) < len(jobs):
            machine.check_all()
            watcher.check()
            due = [name for name in jobs if name not in ended and jobs[name].is_due()]
            for name in due:
                with self.asking():
                    status = jobs[name].poll(deadline=deadline)
                    if status:
                        failures.append(self.fail(name, jobs[name], status))
                if failures and not self.patient:
                    raise failures[0]
                if status is not None:
                    ended[name] = time.monotonic()
            if deadline.expired:
                late = ", ".join(sorted(jobs.keys() - ended.keys()))
                raise GuestHung(f"{late}: {self.what} did not end before its deadline")
            if len(ended) < len(jobs):
                time.sleep(self.poll_seconds)
        if failures:
            raise failures[0]
        return ended


def prepare_all(
    machine: Machine,
    domains: Sequence[DomainHandle],
    prepare: Callable[[DomainHandle, Deadline], DetachedJob],
    deadline: Deadline,
) -> dict[str, DetachedJob]:
    """Prepare a job in each domU, all at once; by the domU's name.

    Raises whatever ``prepare`` does.
    """
    calls = [lambda domain=domain: prepare(domain, deadline) for domain in domains]
    return dict(zip((one.name for one in domains), machine.in_parallel(calls), strict=True))


def release(machine: Machine, jobs: Sequence[DetachedJob], deadline: Deadline) -> float:
    """Start all prepared jobs at one barrier; returns the host's monotonic seconds."""
    barrier = threading.Barrier(len(jobs))

    def start(job: DetachedJob) -> float:
        barrier.wait(deadline.remaining)
        moment = time.monotonic()
        job.go(deadline=deadline)
        return moment

    return min(machine.in_parallel([lambda job=job: start(job) for job in jobs]))  # type: ignore[misc]


def failure(name: str, what: str, job: DetachedJob, status: int) -> WorkloadFailed:
    """A domU's job that failed, with the end of what it printed."""
    try:
        log = job.log(lines=15)
    except GuestError as error:
        log = f"(not to be had: {error})"
    return WorkloadFailed(f"{name}: {what} ended with status {status}; its log ends:\n{log}")
