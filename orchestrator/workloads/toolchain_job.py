"""One job in the toolchain's chroot of every domU: a build, or another program.

All start at one barrier, each as a detached job, so that a lost connection
loses no work. In a domU::

    /toolchain            chroot with gcc, make, perl and so on (read-only disk)
    /toolchain/work       overlay: workload disk below, scratch disk above
    /mnt/scratch/compile  the job's folder: script, log, status, times, digests
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle, Machine
from orchestrator.workloads.together import Nobody, Together, Watcher, failure, prepare_all

__all__ = ["CHROOT", "JOB", "JobResult", "ToolchainJob", "parse_digests"]

JOB = "/mnt/scratch/compile"
CHROOT = "chroot /toolchain /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp"
"""Before a command that runs in there."""
_PREPARE_SECONDS = 60.0
_COLLECT_SECONDS = 120.0


@dataclass(frozen=True)
class JobResult:
    """What one domU made of it."""

    exit_code: int
    """Always 0: another one raises."""
    guest_seconds: float
    """By the domU's own clock, from before the program to after it; of a resumed build,
    the sum over its sessions, up to the last checkpoint of each that was interrupted."""
    wall_seconds: float
    """By the host's clock, from the barrier until the end was seen."""
    digests: dict[str, str]
    """SHA-256 (hex) of each thing that was made, by its name."""
    log: str
    """What the program printed."""


@dataclass(frozen=True, kw_only=True)
class ToolchainJob(ABC):
    """How such a job is set up, started, waited for and read."""

    what: ClassVar[str]
    """The work, for messages."""
    program: ClassVar[str]
    """What runs, for messages."""

    poll_seconds: float = 0.5
    """How often their consoles are looked at for a sign that they are done."""
    skew: Mapping[str, float] = field(default_factory=dict)
    """Seconds of its own clock that a domU waits, by its name, before it begins."""
    date: int | None = None
    """What the domUs' clocks are set to, seconds since 1970; the host's time where None."""
    patient: bool = False
    """Where a job fails, wait for the other domUs' ends before it is told."""
    asking: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held while a domU is asked something."""
    timed: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held from just before the barrier until the last domU's end."""

    @abstractmethod
    def script(self, domain: str) -> str:
        """What runs in a domU (sh), in the job's folder. It leaves two files there:

        ``times``
            a line *start end* a session, in seconds of the domU's clock
        ``digests``
            as ``sha256sum`` prints them, of what was made
        """

    def run(
        self,
        machine: Machine,
        domains: Sequence[DomainHandle],
        deadline: Deadline,
        watcher: Watcher | None = None,
    ) -> dict[str, JobResult]:
        """Run it in all ``domains`` at once and return the results by name.

        Raises:
            WorkloadFailed: it failed in a domU; its last lines are included.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        watcher = watcher or Nobody()
        prepare = deadline.within(_PREPARE_SECONDS)
        with self.asking():
            jobs = prepare_all(machine, domains, self._prepare, prepare)
        seconds = self._together.run(machine, jobs, prepare, deadline, watcher)
        with self.asking():
            return {name: _collect(job, seconds[name], deadline) for name, job in jobs.items()}

    def waiting(self, domain: str) -> str:
        """The line of the script by which a domU waits before it begins; empty if it does not."""
        seconds = self.skew.get(domain, 0)
        return f"sleep {seconds:.3f}" if seconds else ""

    @property
    def _together(self) -> Together:
        return Together(
            self.what, self._failure, self.patient, self.poll_seconds, self.asking, self.timed
        )

    def _failure(self, name: str, job: DetachedJob, status: int) -> WorkloadFailed:
        return failure(name, self.program, job, status)

    def _prepare(self, domain: DomainHandle, deadline: Deadline) -> DetachedJob:
        # a domU's clock starts anywhere; make compares times with the tree's, and
        # with those of an earlier boot when it resumes
        date = int(time.time()) if self.date is None else self.date
        domain.ssh.run(["date", "-u", "-s", f"@{date}"], deadline=deadline)
        return DetachedJob.prepare(
            domain.ssh,
            JOB,
            self.script(domain.name),
            deadline=deadline,
            console=domain.console,
        )


def parse_digests(text: str) -> dict[str, str]:
    """What ``sha256sum`` printed, by file."""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {name: digest for digest, name in lines}


def _collect(job: DetachedJob, wall_seconds: float, deadline: Deadline) -> JobResult:
    limit = deadline.within(_COLLECT_SECONDS)
    sessions = job.ssh.read_file(f"{job.folder}/times", deadline=limit).splitlines()
    spans = [(float(start), float(end)) for start, end in map(str.split, sessions)]
    digests = parse_digests(job.ssh.read_file(f"{job.folder}/digests", deadline=limit))
    return JobResult(
        exit_code=0,
        guest_seconds=round(sum(end - start for start, end in spans), 2),
        wall_seconds=round(wall_seconds, 2),
        digests=digests,
        log=job.log(deadline=limit),
    )
