"""Pages of known contents in a domU: filled, reclaimed, asked back and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.frontend import domain_counters
from orchestrator.machine import DomainHandle, Machine
from orchestrator.workloads import Kind, PageJob, start_pagegen

SECONDS = 240.0


class Pages:
    """What the system tests do to a machine, in their own words."""

    def __init__(self, machine: Machine, program: Path) -> None:
        self.machine = machine
        self.program = program

    def domain(self, name: str) -> DomainHandle:
        return self.machine.domains[name]

    @contextmanager
    def held(
        self, name: str, pages: int, kind: Kind, seed: int, **how: Any
    ) -> Iterator[tuple[PageJob, dict[str, Any]]]:
        """Pages that are out of memory now; whatever happens, they are gone afterwards."""
        job = start_pagegen(
            self.domain(name), self.program, pages=pages, kind=kind, seed=seed,
            deadline=Deadline.after(SECONDS), name=f"{kind}{seed}", **how,
        )  # fmt: skip
        try:
            yield job, job.wait_held(Deadline.after(SECONDS))
        finally:
            if self.machine.domains.get(name) is job.domain:  # not if it was destroyed
                job.job.stop("KILL")

    def bring_back(self, job: PageJob) -> dict[str, Any]:
        """Every page is read again and compared with what was written."""
        job.release(Deadline.after(SECONDS))
        return job.result(Deadline.after(SECONDS))

    def counters(self, name: str) -> dict[str, int]:
        """The frontend's counters, by name."""
        return domain_counters(self.domain(name))

    def store(self, command: str) -> dict[str, Any]:
        """What the store's control socket says."""
        return self.machine.store.control(command, Deadline.after(60))
