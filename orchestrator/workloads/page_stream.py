"""``page-stream``: pagegen measures in one domU, against one kind of swap."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle
from orchestrator.results import PageStreamFigures
from orchestrator.workloads.domain_swap import ZRAM, DomainSwap
from orchestrator.workloads.pagegen import PROGRAM, put_pagegen

__all__ = ["PageStream"]

JOB = "/mnt/scratch/jobs/page-stream"
FRONTEND = "/sys/kernel/debug/pageshare"
_DIFFERENT = 1
"""pagegen's exit status where pages came back with other bytes."""
_CALL_SECONDS = 60.0
_MEMORY_USED_MOST = 4
"""Which figure of zram's mm_stat: the most memory that it ever took, in bytes."""


@dataclass(frozen=True)
class PageStream:
    """The workload; what it measures follows from its fields alone."""

    program: Path
    """From ``build_pagegen``."""
    pages: int
    mix: Mapping[str, int]
    """Parts by pagegen's name of the kind."""
    rounds: int
    seed: int
    swap: DomainSwap

    def run(self, domain: DomainHandle, swap_mib: int, deadline: Deadline) -> PageStreamFigures:
        """Measure in one domU.

        Args:
            swap_mib: size of the zram disk, where there is one; MiB.

        Raises:
            WorkloadFailed: swap cannot be set up, or a page came back as an error.
            InfrastructureError: pages went elsewhere than they should.
            GuestPanic, GuestHung: as the machine has it.
        """
        self.swap.set_up(domain, swap_mib, deadline)
        put_pagegen(domain.ssh, self.program, deadline)
        script = f"exec {' '.join(self.argv)}\n"
        job = DetachedJob.start(domain.ssh, JOB, script, deadline=deadline, console=domain.console)
        status = job.wait(deadline=deadline, interval=0.5, check=domain.check)
        said = job.log(deadline=Deadline.after(_CALL_SECONDS))
        record = _measured(said)
        if status not in (0, _DIFFERENT) or record is None:
            raise WorkloadFailed(
                f"{domain.name}: pagegen ended with status {status}: {said.strip()[-1500:]}"
            )
        self._check_where(domain)
        return PageStreamFigures(**record, memory_bytes=self._memory(domain))

    @property
    def argv(self) -> list[str]:
        """The command in the domU."""
        mix = ",".join(f"{kind}:{part}" for kind, part in self.mix.items() if part)
        return [
            PROGRAM, "--measure", "--pages", str(self.pages), "--mix", mix,
            "--rounds", str(self.rounds), "--seed", str(self.seed),
        ]  # fmt: skip

    def _memory(self, domain: DomainHandle) -> int | None:
        """Bytes of the domU's memory that keep its swapped pages, at most."""
        match self.swap.kind:
            case "pageshare":
                return _number(domain, f"{FRONTEND}/frontend_bytes", 0)
            case "zram":
                return _number(domain, f"{ZRAM}/mm_stat", _MEMORY_USED_MOST)
            case "zswap":
                return None  # what it took at most is not kept
            case _:
                return 0

    def _check_where(self, domain: DomainHandle) -> None:
        """frontswap comes before any swap device, so it must have had all or nothing."""
        stored = [
            _number(domain, f"{FRONTEND}/{name}", 0) or 0
            for name in ("stores", "stores_same_filled")
        ]
        ours = self.swap.kind == "pageshare"
        if ours and not any(stored):
            raise InfrastructureError(f"{domain.name}: nothing went to the store")
        if not ours and any(stored):
            raise InfrastructureError(
                f"{domain.name}: frontswap took {sum(stored)} pages that should have gone to "
                f"{self.swap.kind}: does its kernel know xen-pageshare.enabled=0?"
            )


def _measured(said: str) -> dict[str, Any] | None:
    """pagegen's record, without what is not a figure; None if it printed none."""
    for line in said.splitlines():
        if line.startswith("{") and (record := json.loads(line)).get("phase") == "measured":
            found: dict[str, Any] = record
            del found["phase"]
            return found
    return None


def _number(domain: DomainHandle, path: str, column: int) -> int | None:
    """A whole number from a file in the domU; None if the file is not there."""
    said = domain.ssh.run(["cat", path], deadline=Deadline.after(_CALL_SECONDS), check=False)
    words = said.stdout.split()
    return int(words[column]) if len(words) > column else None
