"""The sharing store in dom0: started, asked, hurt and stopped over SSH."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine.console import ConsoleLog
from orchestrator.machine.description import StoreDescription
from orchestrator.machine.jobs import DetachedJob
from orchestrator.machine.qemu import STORE_LOG_PORT
from orchestrator.machine.ssh import Ssh

__all__ = ["Store", "json_object"]

_READY = re.compile(r"^(?:\S+ )*ready\s*$", re.MULTILINE)
_JOB = "/run/testbed-store"
_SERVICE = f"{_JOB}/service"
"""The service's own process id: a signal to its session would also end the shell
that keeps its exit status."""
_SCRIPT = """\
cd / && mkdir -p {folders} && echo $$ >{service} || exit 1
export PYTHONPATH=/payload PYTHONUNBUFFERED=1
exec python3 -m {program} --config /payload/store.toml {arguments} \
    >/dev/virtio-ports/{port} 2>&1
"""


def json_object(what: str, said: str) -> dict[str, Any]:
    """The JSON object that a program in dom0 printed.

    Raises:
        InfrastructureError: it is none; ``what`` says whose it should be.
    """
    try:
        found = json.loads(said)
    except ValueError as error:
        raise InfrastructureError(f"{what}: not JSON: {said!r}") from error
    if not isinstance(found, dict):
        raise InfrastructureError(f"{what}: not an object: {said!r}")
    return found


@dataclass
class Store:
    """The one store of a machine. Every failure is an InfrastructureError.

    Its log goes to a file on the host by a port of its own, so that it is
    there even after dom0 is not.
    """

    ssh: Ssh
    description: StoreDescription
    console: ConsoleLog
    check_machine: Callable[[], None]
    """Raises when QEMU, Xen or dom0 is lost."""
    program: str = "testbed.store"
    """Python module of the service."""
    arguments: Sequence[str] = ()
    """Further ones of its command line."""
    _job: DetachedJob | None = field(default=None, repr=False)
    _log_start: int = field(default=0, repr=False)

    def start(self, deadline: Deadline) -> None:
        """Start the service without waiting for it."""
        paths = [self.description.control_socket, self.description.arena_path]
        folders = " ".join(sorted({str(PurePosixPath(path).parent) for path in paths}))
        self._log_start = self.console.size()
        script = _SCRIPT.format(
            folders=folders,
            service=_SERVICE,
            program=self.program,
            arguments=shlex.join(self.arguments),
            port=STORE_LOG_PORT,
        )
        self._job = DetachedJob.start(self.ssh, _JOB, script, deadline=deadline)

    def adopt(self) -> None:
        """Take the service over that runs already, in a machine that was kept."""
        self._job = DetachedJob(self.ssh, _JOB)

    def wait_ready(self, deadline: Deadline) -> None:
        """Wait until it accepts domains (it says ``ready`` on a line of its own).

        Raises:
            InfrastructureError: it ended, or is not ready at the deadline.
        """
        look = Deadline.after(1)
        while not _READY.search(self.console.text(self._log_start)):
            self.check_machine()
            ended = look.expired and not self.running()
            if ended or deadline.expired:
                what = "ended at once" if ended else "is not ready in time"
                raise InfrastructureError(f"the store {what}; its log ends:\n{self._last_words()}")
            if look.expired:
                look = Deadline.after(1)
            time.sleep(0.05)

    def control(self, command: str, deadline: Deadline) -> dict[str, Any]:
        """One command of ``testbed.store.control`` and its answer, a JSON object.

        Commands: ``status``, ``stats``, ``peak``, ``reset-peak``, ``verify``, ``marks``.
        """
        socket = self.description.control_socket
        line = f"PYTHONPATH=/payload python3 -m testbed.store.control --socket {socket} {command}"
        return json_object(f"store control {command}", self.ssh.run(line, deadline=deadline).stdout)

    def peak(self, deadline: Deadline) -> dict[str, Any]:
        """The page sharing table as it was when most pages were held."""
        return self.control("peak", deadline)

    def reset_peak(self, deadline: Deadline) -> None:
        """Forget the peak: the next MARK is a new one."""
        self.control("reset-peak", deadline)

    def running(self) -> bool:
        """Whether the service was started and has not ended."""
        return self._job is not None and self._job.poll() is None

    def check(self) -> None:
        """Raise InfrastructureError, with its last words, if it has ended by itself."""
        if not self.running():
            raise InfrastructureError(f"the store has ended; its log ends:\n{self._last_words()}")

    def stop(self, deadline: Deadline) -> None:
        """End it in order (SIGTERM). What it holds stays in its files, and no domU is told."""
        if self._job is None:
            return
        self._job.stop("TERM", deadline=deadline)
        self._wait_ended(self._job, deadline)
        self._job = None

    def kill(self, deadline: Deadline) -> None:
        """End it between any two instructions (SIGKILL), and wait until it is gone."""
        if self._job is None:
            raise InfrastructureError("the store does not run: it cannot be killed")
        self._signal("KILL", deadline)
        self._wait_ended(self._job, deadline)
        self._job = None

    def start_again(self, deadline: Deadline) -> dict[str, Any]:
        """Start it as at boot, wait until its control socket answers; its ``status``."""
        self.start(deadline)
        self.wait_ready(deadline)
        return self.control("status", deadline)

    def freeze(self, deadline: Deadline) -> None:
        """Have it stand still (SIGSTOP) until :meth:`thaw`."""
        self._signal("STOP", deadline)

    def thaw(self, deadline: Deadline) -> None:
        """Have it go on (SIGCONT)."""
        self._signal("CONT", deadline)

    def _signal(self, name: str, deadline: Deadline) -> None:
        self.ssh.run(f"read p <{_SERVICE} && kill -{name} $p", deadline=deadline)

    def _wait_ended(self, job: DetachedJob, deadline: Deadline) -> None:
        while job.poll(deadline=deadline) is None:
            self.check_machine()
            if deadline.expired:
                raise InfrastructureError(f"the store did not stop:\n{self._last_words()}")
            time.sleep(0.2)

    def _last_words(self) -> str:
        return self.console.tail(20)
