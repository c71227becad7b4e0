"""Long jobs in a guest, detached from SSH, with their status in a file.

A job's folder in the guest::

    script   what runs (sh)
    gate     FIFO: the job starts when it is opened for writing
    log      both outputs
    pid      leader of the job's session
    status   exit status; there only when the job has ended (renamed into place)
"""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from orchestrator.deadline import Deadline
from orchestrator.machine.console import ConsoleLog
from orchestrator.machine.ssh import Ssh

__all__ = ["Announcement", "DetachedJob"]

_CALL_SECONDS = 60.0
# the trap lets the outer shell live through a signal to the whole session and
# write the status; a trap, unlike an ignored signal, is not inherited by the job
_LAUNCH = """\
set -e; mkdir -p {folder}; cd {folder}; rm -f status gate; mkfifo gate; cat >script
setsid sh -c 'trap : TERM INT HUP; read x <gate && sh ./script >log 2>&1; echo $? >status.new
mv status.new status; {announce}' </dev/null >/dev/null 2>&1 &
echo $! >pid
"""
# builtins only; the status is looked for again, as the shell may end in between
_POLL = """\
cd {folder} || exit
read s <status || {{ read p <pid && kill -0 $p; }} || read s <status || s={lost}
echo $s"""
_ALONE_SECONDS = 60.0
"""How long a guest whose job will announce its end is left alone."""
_NUMBERS = itertools.count(1)
LOST = -1
"""Status of a job whose shell was killed before it could write one."""


@dataclass
class Announcement:
    """What a job prints on its guest's console when it has ended: until then, nobody need
    ask the guest, which every question disturbs."""

    console: ConsoleLog
    text: str
    asked_at: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """Whether to ask now: it was made, or the guest has been left alone for long."""
        now = time.monotonic()
        if now - self.asked_at < _ALONE_SECONDS and not self.console.contains(self.text):
            return False
        self.asked_at = now
        return True


@dataclass(frozen=True)
class DetachedJob:
    """A job in a guest that goes on whatever becomes of the connection."""

    ssh: Ssh
    folder: str
    """In the guest; one job a folder."""
    announcement: Announcement | None = None
    """Where its end is to be seen without asking."""

    @classmethod
    def prepare(
        cls,
        ssh: Ssh,
        folder: str,
        script: str,
        *,
        deadline: Deadline,
        console: ConsoleLog | None = None,
    ) -> Self:
        """Put the job in place, ready to start at :meth:`go` without any more work.

        Args:
            console: of the guest, for a job that is to announce its end there.
        """
        text = f"testbed: job {next(_NUMBERS)} has ended"
        announce = f'echo "{text}" >/dev/console' if console else ":"
        launch = _LAUNCH.format(folder=shlex.quote(folder), announce=announce)
        ssh.run(launch, data=script.encode(), deadline=deadline)
        return cls(ssh, folder, Announcement(console, text) if console else None)

    @classmethod
    def start(
        cls,
        ssh: Ssh,
        folder: str,
        script: str,
        *,
        deadline: Deadline,
        console: ConsoleLog | None = None,
    ) -> Self:
        """Put the job in place and start it."""
        job = cls.prepare(ssh, folder, script, deadline=deadline, console=console)
        job.go(deadline=deadline)
        return job

    def is_due(self) -> bool:
        """Whether it may have ended, as far as can be told without asking the guest."""
        return self.announcement is None or self.announcement.is_due()

    def go(self, *, deadline: Deadline) -> None:
        """Start a prepared job."""
        self.ssh.run(f"echo >{shlex.quote(self.folder)}/gate", deadline=deadline)

    def poll(self, *, deadline: Deadline | None = None) -> int | None:
        """Its exit status, or None while it runs; :data:`LOST` if nobody can tell.

        Costs the guest one shell and no more: it may be short of memory.
        """
        line = _POLL.format(folder=shlex.quote(self.folder), lost=LOST)
        said = self.ssh.run(line, deadline=deadline or Deadline.after(_CALL_SECONDS), check=False)
        return int(said.stdout) if said.stdout.strip() else None

    def wait(
        self,
        *,
        deadline: Deadline,
        interval: float = 2.0,
        check: Callable[[], None] = lambda: None,
    ) -> int:
        """Wait for its end and return the exit status.

        Args:
            interval: seconds between looks; each disturbs the guest a little.
            check: raises when waiting has become pointless (panic, QEMU gone).

        Raises:
            TestbedError: the endpoint's ``hung``, with the job's last lines.
        """
        while True:
            check()
            try:
                due = deadline.expired or self.is_due()
                status = self.poll(deadline=deadline) if due else None
            except self.ssh.endpoint.hung:
                if not deadline.expired:
                    raise
                status = None  # the deadline came while the guest was asked
            if status is not None:
                return status
            if deadline.within(interval).remaining < interval / 2:
                raise self.ssh.endpoint.hung(
                    f"{self.ssh.name}: {self.folder} did not end before its deadline; "
                    f"its log ends:\n{self._last_words()}"
                )
            time.sleep(interval)

    def log(self, *, lines: int | None = None, deadline: Deadline | None = None) -> str:
        """What it printed, or the last ``lines`` of it."""
        log = f"{self.folder}/log"
        command = ["cat", log] if lines is None else ["tail", "-n", str(lines), log]
        limit = deadline or Deadline.after(_CALL_SECONDS)
        return self.ssh.run(command, deadline=limit, check=False).stdout

    def stop(self, signal: str = "TERM", *, deadline: Deadline | None = None) -> None:
        """Send a signal to all of its processes; nothing if there are none."""
        line = f"read p <{shlex.quote(self.folder)}/pid && kill -{signal} -$p"
        self.ssh.run(line, deadline=deadline or Deadline.after(_CALL_SECONDS), check=False)

    def _last_words(self) -> str:
        try:
            return self.log(lines=5, deadline=Deadline.after(10))
        except self.ssh.endpoint.hung:
            return "(not to be had: SSH does not answer either)"
