"""QEMU as a child process that cannot outlive us."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from orchestrator.commands import Log, pasteable, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, UserError

__all__ = ["QemuProcess"]

_GRACE_SECONDS = 3.0


class QemuProcess:
    """A running QEMU; leaving the context ends it, whatever happened.

    QEMU is killed by the kernel when the *thread* that started it ends
    (PR_SET_PDEATHSIG): start it from one that lives as long as the machine.
    It has its own session, so that Ctrl-C reaches us alone and the teardown
    keeps its order.

    Raises:
        UserError: QEMU (or setpriv, which sets PDEATHSIG) is not installed.
    """

    def __init__(self, argv: Sequence[str], output: Path, log: Log = silent) -> None:
        self.argv = list(argv)
        self.output = output
        """File with what QEMU itself prints."""
        log(f"$ {pasteable(argv)}")
        try:
            with output.open("wb") as file:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except FileNotFoundError as error:
            raise UserError("setpriv is not installed; apt-get install util-linux") from error

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether QEMU has not ended yet."""
        return self._process.poll() is None

    def check(self) -> None:
        """Raise InfrastructureError if QEMU has ended, with what it said."""
        status = self._process.poll()
        if status is not None:
            said = self.output.read_text(errors="replace").strip()[-2000:]
            raise InfrastructureError(f"QEMU ended by itself with status {status}: {said}")

    def wait(self, deadline: Deadline) -> None:
        """Wait until it has ended by itself, as it was asked to.

        Raises:
            InfrastructureError: it has not, by the deadline.
        """
        try:
            self._process.wait(deadline.remaining)
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError("QEMU was asked to end, but goes on") from error

    def stop(self) -> None:
        """End QEMU: ask, then insist. Does nothing if it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
