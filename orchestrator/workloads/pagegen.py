"""``pagegen``: pages of known contents that go out and come back.

The program (``testbed/workload/*.c``) is built through the artifact
cache and copied to a domU's scratch disk; each run of it is a detached job.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.guest_program import build_guest_program, build_host_program
from orchestrator.commands import Log, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle, Ssh

__all__ = [
    "PROGRAM",
    "Kind",
    "PageJob",
    "build_host_pagegen",
    "build_pagegen",
    "put_pagegen",
    "start_pagegen",
]

Kind = Literal["zero", "same", "text", "random", "mixed"]
"""``same``: one word repeated; ``text``: compressible; ``random``: not compressible."""

PROGRAM = "/mnt/scratch/pagegen"
"""Where it lies in a domU."""


def build_pagegen(cache: Cache, *, log: Log = silent, deadline: Deadline | None = None) -> Path:
    """The static arm64 program, from the cache where it is there.

    Raises:
        UserError: the cross compiler is not installed.
        InfrastructureError: it does not compile.
    """
    return build_guest_program(cache, "pagegen", "testbed/workload", log=log, deadline=deadline)


def build_host_pagegen(
    cache: Cache, *, log: Log = silent, deadline: Deadline | None = None
) -> Path:
    """The same program for this machine; errors as above."""
    return build_host_program(cache, "pagegen", "testbed/workload", log=log, deadline=deadline)


def put_pagegen(ssh: Ssh, program: Path, deadline: Deadline) -> None:
    """Copy the program, from :func:`build_pagegen`, to a domU."""
    ssh.write_file(PROGRAM, program.read_bytes(), deadline=deadline, mode=0o755)


@dataclass(frozen=True)
class PageJob:
    """One run of pagegen in a domU."""

    domain: DomainHandle
    job: DetachedJob

    def wait_held(self, deadline: Deadline) -> dict[str, Any]:
        """Wait until the pages are out (or were asked to be); the ``held`` record.

        ``swapped_kib`` there says how much of the process is swapped out.

        Raises:
            WorkloadFailed: pagegen ended before.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        return self._phase("held", deadline)

    def release(self, deadline: Deadline) -> None:
        """Have it read every page back."""
        self.domain.ssh.run(["touch", f"{self.job.folder}/release"], deadline=deadline)

    def read_back(self, deadline: Deadline) -> dict[str, Any]:
        """Have it read every page back, and wait for the ``verified`` record, not its end.

        Raises:
            WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as :meth:`result`.
        """
        self.release(deadline)
        return self._phase("verified", deadline)

    def release_again(self, deadline: Deadline) -> dict[str, Any]:
        """Have it read every page once more, and wait for its end; the second record.

        Raises:
            WorkloadFailed, GuestPanic, GuestHung, InfrastructureError: as :meth:`result`.
        """
        self.domain.ssh.run(["touch", f"{self.job.folder}/again"], deadline=deadline)
        self.job.wait(deadline=deadline, interval=0.5, check=self.domain.check)
        *_, last = self.job.log(deadline=deadline).splitlines()
        record: dict[str, Any] = json.loads(last)
        return record

    def result(self, deadline: Deadline) -> dict[str, Any]:
        """Wait for the end; the ``verified`` record (``mismatches`` in pages).

        Raises:
            WorkloadFailed: a page came back as an error, or pagegen was killed.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        self.job.wait(deadline=deadline, interval=0.5, check=self.domain.check)
        return self._phase("verified", deadline)

    def _phase(self, wanted: str, deadline: Deadline) -> dict[str, Any]:
        while True:
            self.domain.check()
            status = self.job.poll(deadline=deadline)
            log = self.job.log(deadline=deadline)
            for line in log.splitlines():
                if line.startswith("{") and (record := json.loads(line))["phase"] == wanted:
                    found: dict[str, Any] = record
                    return found
            if status is not None:
                raise WorkloadFailed(
                    f"{self.domain.name}: pagegen ended with status {status} "
                    f"before the phase {wanted!r}: {log.strip()}"
                )
            if deadline.expired:
                raise self.domain.endpoint.hung(
                    f"{self.domain.name}: pagegen is not {wanted} before its deadline"
                )
            time.sleep(0.5)


def start_pagegen(
    domain: DomainHandle,
    program: Path,
    *,
    pages: int,
    kind: Kind,
    seed: int,
    deadline: Deadline,
    pageout: bool = False,
    pressure: int = 0,
    again: bool = False,
    name: str = "pagegen",
) -> PageJob:
    """Fill ``pages`` pages in a domU and hold them until :meth:`PageJob.release`.

    Args:
        program: from :func:`build_pagegen`.
        seed: contents follow from kind, seed and page number alone.
        pageout: have the kernel reclaim them now (MADV_PAGEOUT).
        pressure: touch so many further pages, so that these must go.
        again: tolerate pages that are errors, and have them all read once more after
            :meth:`PageJob.release_again`.
        name: of the job; a second one at the same time needs another name.
    """
    ssh = domain.ssh
    # a domU that was destroyed may have left its name without its bytes
    size = ssh.run(f"wc -c <{PROGRAM}", deadline=deadline, check=False).stdout.strip()
    if size != str(program.stat().st_size):
        put_pagegen(ssh, program, deadline)
    folder = f"/mnt/scratch/jobs/{name}"
    argv = [
        f"exec {PROGRAM} --pages {pages} --kind {kind} --seed {seed}",
        f"--pressure {pressure} --until {folder}/release",
        *(["--pageout"] if pageout else []),
        *([f"--tolerate --again {folder}/again"] if again else []),
    ]
    script = f"rm -f {folder}/release {folder}/again; {' '.join(argv)}\n"
    return PageJob(domain, DetachedJob.start(ssh, folder, script, deadline=deadline))
