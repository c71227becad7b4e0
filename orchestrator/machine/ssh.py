"""SSH by paramiko: one lasting connection for each guest, made again should it end.

Nothing here waits without a deadline, and both output streams are drained
while a command runs: reading the exit status first deadlocks as soon as a
command prints more than the channel's window.
"""

from __future__ import annotations

import logging
import shlex
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, TestbedError

__all__ = ["CommandResult", "Ssh", "SshEndpoint"]

_ATTEMPT_SECONDS = 10.0
_HINT_SECONDS = 20.0
_CHUNK = 32768
_SHOWN = 1500
"""Bytes of what a command said, in a message that it failed."""

_LOG = logging.getLogger(__name__)

# an attempt that fails is part of connecting, not worth a traceback on the terminal
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


@dataclass(frozen=True)
class SshEndpoint:
    """Where a guest's SSH server is reached, and whose fault it is if it is not."""

    name: str
    port: int
    """On 127.0.0.1."""
    key: Path
    """Private key, OpenSSH format."""
    user: str = "root"
    failed: type[TestbedError] = InfrastructureError
    """Raised when a command ends with an error."""
    hung: type[TestbedError] = InfrastructureError
    """Raised when no answer comes before the deadline."""

    @property
    def argv(self) -> list[str]:
        """The OpenSSH command that opens a shell there, for a person to use."""
        return [
            "ssh", "-p", str(self.port), "-i", str(self.key), "-o", "IdentitiesOnly=yes",
            # guests make their host keys anew in every run, and the port is local
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", f"{self.user}@127.0.0.1",
        ]  # fmt: skip


@dataclass(frozen=True)
class CommandResult:
    """What a command that has ended left behind."""

    command: str
    status: int
    """Exit status, 0 to 255."""
    stdout: str
    stderr: str


class Ssh:
    """One authenticated connection. Threads may share it: each command has its channel.

    A connection that has ended fails the commands that ran on it; the next one is given
    another connection.
    """

    def __init__(self, endpoint: SshEndpoint, transport: paramiko.Transport) -> None:
        self.endpoint = endpoint
        self._transport = transport
        self._connecting = threading.Lock()
        self._closed = False

    @classmethod
    def connect(
        cls,
        endpoint: SshEndpoint,
        deadline: Deadline,
        *,
        check: Callable[[], None] = lambda: None,
        ready: Callable[[], bool] = lambda: True,
    ) -> Self:
        """Connect, trying again until it works.

        Args:
            check: raises when waiting has become pointless (QEMU gone, panic).
            ready: whether the server listens. Only a hint, but a good one:
                QEMU's user network accepts a connection at once and then takes
                seconds to repeat a SYN that nobody answered.

        Raises:
            TestbedError: ``endpoint.hung``, if the deadline passes first.
        """
        hint = Deadline.after(_HINT_SECONDS)
        reason: Exception | str = "its console never said that it is ready"
        while not deadline.expired:
            check()
            if ready() or hint.expired:
                try:
                    return cls(endpoint, _open(endpoint, deadline))
                except (OSError, EOFError, paramiko.SSHException) as error:
                    reason = error
            time.sleep(0.03)
        raise endpoint.hung(f"{endpoint.name}: no SSH before the deadline ({reason})")

    @property
    def name(self) -> str:
        """The guest's name."""
        return self.endpoint.name

    def run(
        self,
        command: str | Sequence[str],
        *,
        deadline: Deadline,
        data: bytes | None = None,
        check: bool = True,
    ) -> CommandResult:
        """Run a command to its end: a shell line, or an argv list.

        Args:
            data: what it reads on standard input (nothing by default).
            check: raise if it ends with another status than 0.

        Raises:
            TestbedError: ``endpoint.failed`` or ``endpoint.hung``. After the
                latter nobody knows whether the command is still running.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        status, out, err = self._run(line, data or b"", deadline, check=check)
        return CommandResult(
            line, status, out.decode(errors="replace"), err.decode(errors="replace")
        )

    def read_file(self, path: str, *, deadline: Deadline) -> str:
        """The text of a file in the guest."""
        return self.run(["cat", path], deadline=deadline).stdout

    def read_bytes(self, path: str, *, deadline: Deadline) -> bytes:
        """The bytes of a file in the guest."""
        _, data, _ = self._run(shlex.join(["cat", path]), b"", deadline, check=True)
        return data

    def write_file(self, path: str, data: bytes, *, deadline: Deadline, mode: int = 0o644) -> None:
        """Make a file in the guest, whole or not at all (temporary file and rename)."""
        new = shlex.quote(f"{path}.new")
        line = f"cat >{new} && chmod {mode:o} {new} && mv {new} {shlex.quote(path)}"
        self.run(line, deadline=deadline, data=data)

    def close(self) -> None:
        """Disconnect; what still runs on this connection fails, and so does what comes later."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(
        self, line: str, data: bytes, deadline: Deadline, *, check: bool
    ) -> tuple[int, bytes, bytes]:
        """Exit status and both outputs."""
        try:
            status, out, err = self._talk(line, data, deadline)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self.endpoint.hung(
                f"{self.name}: the SSH connection failed during `{line}`: {error!r}"
            ) from error
        if check and status:
            said = (err or out).decode(errors="replace").strip()[-_SHOWN:]
            raise self.endpoint.failed(f"{self.name}: `{line}` ended with status {status}: {said}")
        return status, out, err

    def _talk(self, line: str, data: bytes, deadline: Deadline) -> tuple[int, bytes, bytes]:
        channel = self._channel(deadline)
        try:
            channel.settimeout(max(deadline.remaining, 0.1))
            channel.exec_command(line)
            out, err = _pump(channel, data, deadline)
            if not channel.exit_status_ready():
                said = (err or out)[-_SHOWN:].decode(errors="replace").strip()
                raise self.endpoint.hung(
                    f"{self.name}: `{line}` did not end before its deadline"
                    + (f"; so far it said: {said}" if said else "")
                )
            status = channel.recv_exit_status()
            if status < 0:
                raise paramiko.SSHException("closed without an exit status")
            return status, out, err
        finally:
            channel.close()

    def _channel(self, deadline: Deadline) -> paramiko.Channel:
        """For one command: where the connection has ended, on another one.

        Nothing was asked of the guest before its channel is open, so that is safe to do again.
        """
        transport = self._connected(deadline)
        try:
            return transport.open_session(timeout=max(deadline.remaining, 0.1))
        except (OSError, EOFError, paramiko.SSHException):
            if transport.is_active():
                raise
        transport = self._connected(deadline)
        return transport.open_session(timeout=max(deadline.remaining, 0.1))

    def _connected(self, deadline: Deadline) -> paramiko.Transport:
        with self._connecting:
            if not self._transport.is_active() and not self._closed:
                _LOG.warning("%s: the SSH connection ended, making another", self.name)
                self._transport = _open(self.endpoint, deadline)
                if self._closed:  # meanwhile
                    self._transport.close()
            return self._transport


def _open(endpoint: SshEndpoint, deadline: Deadline) -> paramiko.Transport:
    wait = max(deadline.within(_ATTEMPT_SECONDS).remaining, 0.1)
    key = paramiko.Ed25519Key.from_private_key_file(str(endpoint.key))
    link = socket.create_connection(("127.0.0.1", endpoint.port), timeout=wait)
    try:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(link)
    except BaseException:
        link.close()
        raise
    try:
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = wait
        # the first of these that both sides know is also the quickest under TCG
        options = transport.get_security_options()
        options.kex = _preferred("curve25519-sha256@libssh.org", options.kex)
        transport.start_client(timeout=wait)
        transport.auth_publickey(endpoint.user, key)
    except BaseException:
        transport.close()
        raise
    return transport


def _preferred(first: str, available: Sequence[str]) -> tuple[str, ...]:
    if first not in available:
        return tuple(available)
    return (first, *(name for name in available if name != first))


def _pump(channel: paramiko.Channel, data: bytes, deadline: Deadline) -> tuple[bytes, bytes]:
    """Feed standard input and drain both outputs until the end or the deadline."""
    feeder = threading.Thread(target=_feed, args=(channel, data), daemon=True)
    feeder.start()
    out, err = bytearray(), bytearray()
    pause = 0.002
    while True:
        ended = channel.exit_status_ready() and (channel.eof_received or channel.closed)
        fresh = False
        while channel.recv_ready():
            out += channel.recv(_CHUNK)
            fresh = True
        while channel.recv_stderr_ready():
            err += channel.recv_stderr(_CHUNK)
            fresh = True
        if ended or deadline.expired:
            break
        pause = 0.002 if fresh else min(pause * 1.3, 0.05)
        time.sleep(pause)
    return bytes(out), bytes(err)


def _feed(channel: paramiko.Channel, data: bytes) -> None:
    try:
        channel.sendall(data)
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        return  # the command ended without reading it all; its status tells the rest
