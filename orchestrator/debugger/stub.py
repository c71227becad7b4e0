"""QEMU's gdb stub, as far as it is spoken to without gdb: to leave the machine running.

QEMU goes on when gdb detaches. When gdb is killed instead, the machine stands still
with all of gdb's breakpoints in it, until somebody says what gdb could not.

Source: the GDB remote serial protocol (gdb's manual, appendix E); QEMU's
docs/system/gdb.rst for ``Qqemu.PhyMemMode``.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError

__all__ = ["framed", "release"]

_FAREWELL = (
    "?",  # a new debugger: QEMU forgets the breakpoints of the one before
    "Qqemu.PhyMemMode:0",
    "D;1",  # detach from its one process: the machine goes on
)
_REPLY = re.compile(rb"\$([^#]*)#[0-9a-f]{2}")


def release(stub: Path, deadline: Deadline) -> None:
    """Let the machine go on, without breakpoints; nothing happens if it has ended.

    Raises:
        InfrastructureError: QEMU does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(deadline.remaining)
        try:
            connection.connect(str(stub))
        except (FileNotFoundError, ConnectionRefusedError):
            return
        try:
            for packet in _FAREWELL:
                _ask(connection, packet)
        except (OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"QEMU's gdb stub does not answer ({error}): whether the machine goes on, "
                "nobody can tell"
            ) from error


def framed(packet: str) -> bytes:
    """A packet as it goes over the line."""
    return f"${packet}#{sum(packet.encode()) & 0xFF:02x}".encode()


def _ask(connection: socket.socket, packet: str) -> None:
    connection.sendall(framed(packet))
    said = b""
    while not _REPLY.search(said):
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("it closed the connection")
        said += more
    connection.sendall(b"+")
