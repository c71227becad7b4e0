"""``pages``: a domU that fills pages, has them reclaimed and verifies them, over and over.

In a domU, below ``/mnt/scratch/jobs/page-loop``::

    stop    the loop ends after this round
    rounds  a line for each complete and good round: its number
    last    what pagegen printed in the newest one
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle
from orchestrator.workloads.pagegen import PROGRAM, put_pagegen

__all__ = ["PageLoop", "PageLoops", "page_loop_script"]

FOLDER = "/mnt/scratch/jobs/page-loop"
_DIFFERENT = 1
"""pagegen's exit status where pages came back with other bytes."""
_END_SECONDS = 120.0

_SCRIPT = """\
cd {folder} || exit 1
rm -f stop rounds last
round=0
while [ ! -e stop ]; do
    {program} --pages {pages} --kind mixed --seed $(({seed} + round)) --pageout >last 2>&1
    status=$?
    [ $status = 0 ] || {{ cat last; exit $status; }}
    round=$((round + 1))
    echo $round >>rounds
done
"""


@dataclass(frozen=True)
class PageLoop:
    """What one domU does."""

    pages: int
    seed: int
    """Of the first round; each one after has the next."""


def page_loop_script(loop: PageLoop, folder: str = FOLDER, program: str = PROGRAM) -> str:
    """What runs in the domU (sh)."""
    return _SCRIPT.format(folder=folder, program=program, pages=loop.pages, seed=loop.seed)


@dataclass
class PageLoops:
    """The loops of all domUs that do nothing else. Safe to use from several threads."""

    program: Path | None
    """From ``build_pagegen``; None where no domU has a loop."""
    loops: Mapping[str, PageLoop]
    """By the domU's name."""
    asking: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held while a domU is asked."""
    problems: list[str] = field(default_factory=list)
    """Pages that came back with other bytes."""
    rounds: dict[str, int] = field(default_factory=dict)
    """Complete and good rounds by domU, as far as they were told."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, DetachedJob] = {}

    def start(self, domain: DomainHandle, deadline: Deadline) -> None:
        """Begin in a domU that has just come up; nothing if it has no loop."""
        loop = self.loops.get(domain.name)
        if loop is None or self.program is None:
            return
        # anew each time: a domU that was destroyed may have kept half of the file
        put_pagegen(domain.ssh, self.program, deadline)
        script = page_loop_script(loop)
        job = DetachedJob.start(domain.ssh, FOLDER, script, deadline=deadline)
        with self._lock:
            self._running[domain.name] = job

    def forget(self, name: str, deadline: Deadline) -> None:
        """The domU is about to vanish: count what it did, and ask it no more."""
        with self._lock:
            job = self._running.pop(name, None)
            if job is not None:
                self._count(name, job, deadline)

    def check(self, deadline: Deadline) -> None:
        """See whether all go on; note pages that came back with other bytes.

        Raises:
            WorkloadFailed: a page came back as an error, or pagegen was killed.
        """
        with self._lock:
            for name, job in list(self._running.items()):
                with self.asking():
                    status = job.poll(deadline=deadline)
                if status is not None:
                    del self._running[name]
                    self._ended(name, job, status, deadline)

    def finish(self, deadline: Deadline) -> None:
        """Have every loop end after its round, and wait for it.

        Raises:
            WorkloadFailed: as :meth:`check`.
        """
        with self._lock:
            ending, self._running = self._running, {}
            for job in ending.values():
                job.ssh.run(["touch", f"{FOLDER}/stop"], deadline=deadline)
            for name, job in ending.items():
                status = job.wait(deadline=deadline.within(_END_SECONDS))
                self._ended(name, job, status, deadline)

    def _ended(self, name: str, job: DetachedJob, status: int, deadline: Deadline) -> None:
        self._count(name, job, deadline)
        if status == 0:
            return
        said = job.log(deadline=deadline)
        if status != _DIFFERENT:
            raise WorkloadFailed(f"{name}: pagegen ended with status {status}: {said.strip()}")
        round_ = self.rounds.get(name, 0) + 1
        self.problems.append(f"{name}: {_mismatches(said)} came back different in round {round_}")

    def _count(self, name: str, job: DetachedJob, deadline: Deadline) -> None:
        last = ["tail", "-n", "1", f"{FOLDER}/rounds"]
        with self.asking():
            said = job.ssh.run(last, deadline=deadline, check=False).stdout.strip()
        self.rounds[name] = self.rounds.get(name, 0) + (int(said) if said.isdigit() else 0)


def _mismatches(said: str) -> str:
    for line in said.splitlines():
        if line.startswith("{") and (record := json.loads(line)).get("phase") == "verified":
            return f"{record['mismatches']} pages (the first is {record['first_mismatch']})"
    return "pages"
