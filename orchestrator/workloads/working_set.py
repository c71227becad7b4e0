"""``working-set``: every domU works on pages of known contents, more than its memory holds.

The program is pagegen (``testbed/workload/working_set.c``). All domUs begin at one
barrier, each as a detached job in its folder below ``/mnt/scratch/jobs``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.commands import Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle, Machine
from orchestrator.workloads.pagegen import PROGRAM, put_pagegen
from orchestrator.workloads.together import Nobody, Together, Watcher, failure, prepare_all

__all__ = ["SetPlan", "WorkingSet", "WorkingSetResult", "expected_digests"]

JOB = "/mnt/scratch/jobs/working-set"
_PREPARE_SECONDS = 60.0
_COLLECT_SECONDS = 120.0
_EXPECT_SECONDS = 600.0
_DIFFERENT = 1
"""pagegen's exit status where a page held another byte."""


@dataclass(frozen=True)
class SetPlan:
    """What the domUs' sets are and what is done to them; all follows from its fields."""

    pages: int
    """Of each domU."""
    shares: Mapping[str, int]
    """Parts by pagegen's name of the kind."""
    rounds: int
    rewrite: float
    """Share of the touches, from 0 to 1."""
    seed: int
    similar_words: int = 8

    def arguments(self, number: int) -> list[str]:
        """Of pagegen, for the domU with this number."""
        shares = ",".join(f"{kind}:{part}" for kind, part in self.shares.items() if part)
        return [
            "--pages", str(self.pages), "--shares", shares,
            "--similar-words", str(self.similar_words), "--seed", str(self.seed),
            "--domain", str(number), "--rounds", str(self.rounds),
            "--rewrite", str(round(self.rewrite * 1000)),
        ]  # fmt: skip


@dataclass(frozen=True)
class WorkingSetResult:
    """What one domU made of it."""

    seconds: float
    """By the domU's own clock, from the program's start to its end."""
    fill_seconds: float
    wall_seconds: float
    """By the host's clock, from the barrier until the end was seen."""
    rewrites: int
    verified: int
    """Touches that compared every byte of their page."""
    digests: dict[str, str]
    """64 bits (hex) of what each round read, by its name."""


@dataclass(frozen=True)
class WorkingSet:
    """The workload."""

    program: Path
    """From ``build_pagegen``."""
    plan: SetPlan
    numbers: Mapping[str, int]
    """A domU's number by its name, which its own contents and its order follow from."""
    skew: Mapping[str, float] = field(default_factory=dict)
    """Seconds of its own clock that a domU waits, by its name, before it begins."""
    poll_seconds: float = 0.5
    """How often the consoles are looked at for a sign that they are done."""
    timed: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held from just before the barrier until the last domU's end."""

    def run(
        self,
        machine: Machine,
        domains: Sequence[DomainHandle],
        deadline: Deadline,
        watcher: Watcher | None = None,
    ) -> dict[str, WorkingSetResult]:
        """Work in all ``domains`` at once and return the results by name.

        Raises:
            WorkloadFailed: a page held another byte (which one, and where), came back as
                an error, or pagegen was killed.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        watcher = watcher or Nobody()
        prepare = deadline.within(_PREPARE_SECONDS)
        jobs = prepare_all(machine, domains, self._prepare, prepare)
        together = Together(
            "work on the pages", _failure, poll_seconds=self.poll_seconds, timed=self.timed
        )
        seconds = together.run(machine, jobs, prepare, deadline, watcher)
        limit = deadline.within(_COLLECT_SECONDS)
        return {
            name: _result(name, job.log(deadline=limit), seconds[name])
            for name, job in jobs.items()
        }

    def script(self, name: str) -> str:
        """What runs in a domU (sh)."""
        skew = self.skew.get(name, 0)
        argv = [PROGRAM, "--work", *self.plan.arguments(self.numbers[name])]
        return (f"sleep {skew:.3f}\n" if skew else "") + f"exec {shlex.join(argv)}\n"

    def _prepare(self, domain: DomainHandle, deadline: Deadline) -> DetachedJob:
        put_pagegen(domain.ssh, self.program, deadline)
        script = self.script(domain.name)
        return DetachedJob.prepare(
            domain.ssh, JOB, script, deadline=deadline, console=domain.console
        )


def expected_digests(
    program: Path, plan: SetPlan, number: int, log: Log = silent
) -> dict[str, str]:
    """What a domU's rounds must read, by their names: from contents that never were swapped.

    Args:
        program: from ``build_host_pagegen``; it runs on this machine.
    """
    argv: list[str | Path] = [program, "--expect", *plan.arguments(number)]
    said = run(argv, log=log, deadline=Deadline.after(_EXPECT_SECONDS)).stdout
    record = _record(said, "worked")
    if record is None:
        raise InfrastructureError(f"pagegen --expect said {said!r}")
    return _by_round(record)


def _by_round(record: Mapping[str, Any]) -> dict[str, str]:
    *rounds, end = record["digests"]
    return {f"round {index + 1}": one for index, one in enumerate(rounds)} | {"end": end}


def _result(name: str, said: str, wall_seconds: float) -> WorkingSetResult:
    record = _record(said, "worked")
    if record is None:
        raise WorkloadFailed(f"{name}: pagegen ended without its figures: {said.strip()[-500:]}")
    return WorkingSetResult(
        seconds=record["seconds"],
        fill_seconds=record["fill_seconds"],
        wall_seconds=round(wall_seconds, 2),
        rewrites=record["rewrites"],
        verified=record["verified"],
        digests=_by_round(record),
    )


def _record(said: str, phase: str) -> dict[str, Any] | None:
    """pagegen's record of a phase; None if it printed none."""
    for line in said.splitlines():
        if line.startswith("{") and (record := json.loads(line)).get("phase") == phase:
            found: dict[str, Any] = record
            return found
    return None


def _failure(name: str, job: DetachedJob, status: int) -> WorkloadFailed:
    if status != _DIFFERENT:
        return failure(name, "pagegen", job, status)
    one = _record(job.log(lines=15), "different")
    if one is None:
        return failure(name, "pagegen", job, status)
    return WorkloadFailed(
        f"{name}: page {one['page']} differs at offset {one['offset']}: it is of kind "
        f"{one['kind']!r}, version {one['version']}, read in round {one['round']}"
    )
