"""``churn``: several loops in a domU that fill pages, have them reclaimed and verify them.

In a domU, below ``/mnt/scratch/jobs/page-churn``::

    stop      the loops end after their round
    done.<n>  what pagegen printed last, a line for each round of loop n
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle
from orchestrator.workloads.pagegen import PROGRAM, put_pagegen

__all__ = ["Churned", "PageChurn", "RunningChurn"]

FOLDER = "/mnt/scratch/jobs/page-churn"
_DIFFERENT = 1
"""pagegen's exit status where pages came back with other bytes."""

_SCRIPT = """\
cd {folder} || exit 1
rm -f stop done.*
churn() {{
    round=0
    while [ ! -e stop ]; do
        {program} --pages {pages} --kind mixed --seed $(({seed} + 100000 * $1 + round)) \\
            --pageout {tolerate} >last.$1 2>&1
        status=$?
        tail -n 1 last.$1 >>done.$1
        [ $status = 0 ] || return $status
        round=$((round + 1))
    done
}}
for loop in {loops}; do
    churn $loop &
    running="$running $!"
done
worst=0
for process in $running; do
    wait $process || worst=$?
done
exit $worst
"""


@dataclass(frozen=True)
class Churned:
    """What the loops of one domU came to."""

    rounds: int
    """Complete ones."""
    pages: int
    """Read again and compared, or found to be an error."""
    errors: int
    """Pages that came back as an error (SIGBUS)."""
    mismatches: int
    """Pages that came back with other bytes."""


@dataclass(frozen=True)
class PageChurn:
    """What one domU does."""

    program: Path
    """From ``build_pagegen``."""
    pages: int
    """Of each loop."""
    loops: int
    seed: int
    tolerate: bool = False
    """Whether a page that is an error is counted, in place of ending the loop."""

    def script(self) -> str:
        """What runs in the domU (sh)."""
        return _SCRIPT.format(
            folder=FOLDER,
            program=PROGRAM,
            pages=self.pages,
            seed=self.seed,
            tolerate="--tolerate" if self.tolerate else "",
            loops=" ".join(map(str, range(self.loops))),
        )

    def start(self, domain: DomainHandle, deadline: Deadline) -> RunningChurn:
        """Begin in a domU."""
        put_pagegen(domain.ssh, self.program, deadline)
        job = DetachedJob.start(domain.ssh, FOLDER, self.script(), deadline=deadline)
        return RunningChurn(domain, job)


@dataclass(frozen=True)
class RunningChurn:
    """The loops of one domU while they run."""

    domain: DomainHandle
    job: DetachedJob

    def check(self, deadline: Deadline) -> None:
        """See whether all go on.

        Raises:
            WorkloadFailed: they have ended by themselves.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        self.domain.check()
        status = self.job.poll(deadline=deadline)
        if status is not None:
            self._failed(status, deadline)

    def finish(self, deadline: Deadline) -> Churned:
        """Have the loops end after their rounds, and add up.

        Raises:
            WorkloadFailed: one ended in another way than with wrong bytes.
        """
        self.domain.ssh.run(["touch", f"{FOLDER}/stop"], deadline=deadline)
        status = self.job.wait(deadline=deadline, check=self.domain.check)
        churned = self.result(deadline)
        if status not in (0, _DIFFERENT) or (status == _DIFFERENT and not churned.mismatches):
            self._failed(status, deadline)
        return churned

    def result(self, deadline: Deadline) -> Churned:
        """What is known so far."""
        said = self.domain.ssh.run(f"cat {FOLDER}/done.*", deadline=deadline, check=False).stdout
        return added_up(said)

    def _failed(self, status: int, deadline: Deadline) -> None:
        last = self.domain.ssh.run(f"cat {FOLDER}/last.*", deadline=deadline, check=False).stdout
        said = self.job.log(lines=5, deadline=deadline)
        raise WorkloadFailed(
            f"{self.domain.name}: pagegen ended with status {status}: {said.strip()} {last.strip()}"
        )


def added_up(said: str) -> Churned:
    """The sums over the rounds' ``verified`` records, one a line."""
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    records = [record for record in records if record["phase"] == "verified"]
    return Churned(
        rounds=len(records),
        pages=sum(record["pages"] for record in records),
        errors=sum(record["errors"] for record in records),
        mismatches=sum(record["mismatches"] for record in records),
    )
