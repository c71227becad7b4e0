"""QMP by qemu.qmp, with a synchronous face: one connection a machine.

qemu.qmp is asyncio; its loop runs in a thread of its own, and any thread may
call the methods here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from qemu.qmp import QMPClient, QMPError

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine.qemu import BALLOON, STATISTICS_BYTES

__all__ = ["QmpClient"]

_ANSWER_SECONDS = 10.0
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(\d+)\s+(\S+)\s+22\b")


class QmpClient:
    """A connected QMP monitor.

    Every method raises :class:`InfrastructureError` when QEMU refuses the
    command, is gone, or does not answer in time; in the last case nobody can
    know whether the command was carried out.
    """

    def __init__(self, socket: Path, deadline: Deadline, alive: Callable[[], None]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()
        self._client = QMPClient("testbed")
        try:
            self._connect(socket, deadline, alive)
        except BaseException:
            self.close()
            raise

    def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        deadline: Deadline | None = None,
    ) -> Any:
        """Run one QMP command and return what it answers (decoded JSON)."""
        wait = (deadline or Deadline.after(_ANSWER_SECONDS)).remaining
        call = self._client.execute(command, dict(arguments) if arguments else None)
        try:
            return self._run(call, wait)
        except TimeoutError as error:
            raise InfrastructureError(f"QMP {command}: no answer in {wait:.0f} s") from error
        except QMPError as error:
            raise InfrastructureError(f"QMP {command}: {error}") from error

    def ringbuf_read(self, name: str, size: int = STATISTICS_BYTES) -> str:
        """Take what the guest wrote to the ring buffer ``name``, ``size`` bytes at most.

        What is returned is gone from the buffer; lines may be cut at either end.
        """
        text: str = self.execute("ringbuf-read", {"device": name, "size": size, "format": "utf8"})
        return text

    def poll_balloon(self, seconds: int = 1) -> None:
        """Have dom0's balloon driver send its memory statistics every ``seconds``."""
        self._set(BALLOON, "guest-stats-polling-interval", seconds)

    def balloon_stats(self) -> dict[str, int | None]:
        """dom0's memory as its balloon driver told it last.

        Keys as QEMU names them without ``stat-`` (``total-memory`` in bytes,
        ``free-memory``, ``available-memory``, ``swap-in``, …) and
        ``last-update`` in seconds since 1970. None: never told.
        """
        answer = self.execute("qom-get", {"path": BALLOON, "property": "guest-stats"})
        # QEMU says 2**64-1 for what the guest does not know
        stats: dict[str, int | None] = {
            name.removeprefix("stat-"): value if 0 <= value < 2**63 else None
            for name, value in answer["stats"].items()
        }
        stats["last-update"] = answer["last-update"] or None
        return stats

    def memory_summary(self) -> dict[str, int]:
        """The machine's memory in bytes: ``base-memory`` and, if any, ``plugged-memory``."""
        summary: dict[str, int] = self.execute("query-memory-size-summary")
        return summary

    @contextlib.contextmanager
    def standing(self, deadline: Deadline) -> Iterator[None]:
        """The machine stands still inside: no CPU runs, and no clock of a guest goes on.

        What QEMU knows of a disk is in the disk's file then.
        """
        self.execute("stop", deadline=deadline)
        try:
            yield
        finally:
            self.execute("cont")

    def save_memory(self, first: int, size: int, path: Path, deadline: Deadline) -> None:
        """Write the machine's memory, ``size`` bytes from address ``first``, to a file, raw."""
        arguments = {"val": first, "size": size, "filename": str(path)}
        self.execute("pmemsave", arguments, deadline=deadline)

    def forwarded_ports(self) -> dict[str, int]:
        """Port on 127.0.0.1 that reaches SSH, by address inside the user network."""
        text: str = self.execute("human-monitor-command", {"command-line": "info usernet"})
        return {address: int(port) for port, address in _FORWARD.findall(text)}

    def save_state(self, path: Path, deadline: Deadline) -> None:
        """Stop the machine and write its devices' state to a file.

        Its memory is left out, since it is in a file already (``QemuMemory``,
        shared); that file is whole when QEMU has ended.
        """
        self.execute("stop")
        self._leave_out_shared_memory()
        self._migrate("migrate", f"exec:cat >{shlex.quote(str(path))}", deadline)

    def load_state(self, path: Path, deadline: Deadline) -> None:
        """Take over the state of a machine that was saved, and let it go on."""
        self._leave_out_shared_memory()
        self._migrate("migrate-incoming", f"exec:cat {shlex.quote(str(path))}", deadline)
        self.execute("cont")

    def _leave_out_shared_memory(self) -> None:
        capability = {"capability": "x-ignore-shared", "state": True}
        self.execute("migrate-set-capabilities", {"capabilities": [capability]})

    def _migrate(self, command: str, uri: str, deadline: Deadline) -> None:
        self.execute(command, {"uri": uri})
        while (answer := self.execute("query-migrate")).get("status") != "completed":
            if answer.get("status") in ("failed", "cancelled") or deadline.expired:
                raise InfrastructureError(f"QMP {command}: {answer}")
            time.sleep(0.02)

    def quit(self) -> None:
        """Ask QEMU to end; says nothing if it has already."""
        with contextlib.suppress(InfrastructureError):
            self.execute("quit", deadline=Deadline.after(2))

    def close(self) -> None:
        """Disconnect and end the thread. May be called twice."""
        if self._loop.is_closed():
            return
        # whatever goes wrong here, the loop and its thread must end
        with contextlib.suppress(Exception):
            self._run(self._client.disconnect(), 2.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, socket: Path, deadline: Deadline, alive: Callable[[], None]) -> None:
        while True:
            alive()
            if socket.exists():
                try:
                    self._run(self._client.connect(str(socket)), deadline.remaining)
                    return
                except (QMPError, TimeoutError) as error:
                    if deadline.expired:
                        raise InfrastructureError("QEMU's QMP does not answer") from error
            elif deadline.expired:
                raise InfrastructureError("QEMU did not open its QMP socket")
            time.sleep(0.02)

    def _set(self, path: str, name: str, value: object) -> None:
        self.execute("qom-set", {"path": path, "property": name, "value": value})

    def _run(self, call: Any, seconds: float) -> Any:
        if self._loop.is_closed():
            call.close()
            raise InfrastructureError("QMP: the connection is closed")
        return asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(call, seconds), self._loop
        ).result()
