"""The control socket: one command a line in, one JSON line out.

Works inside the service's loop: a client that does not read, or that never
finishes its line, waits without holding anything up. A command that takes long
is an iterator: it yields None after each slice, and its answer at the end.
"""

from __future__ import annotations

import json
import selectors
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["ControlServer"]

_MAX_COMMAND_BYTES = 256

Commands = Mapping[str, Callable[[], Any]]
"""What each command answers, or the iterator that ends with it."""


class ControlServer:
    """Listens on a unix socket that only the service's user may open."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, commands: Commands) -> None:
        """Replaces a stale socket at ``path``. Raises ``OSError``."""
        self._path = path
        self._selector = selector
        self._commands = commands
        self._clients: set[_Client] = set()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o600)
        self._socket.listen(8)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    @property
    def busy(self) -> bool:
        """Whether a command that takes long is under way."""
        return any(client.waits for client in self._clients)

    def step(self) -> bool:
        """Does one slice of every command that takes long; whether there is one."""
        going = [client.step() for client in list(self._clients)]
        return any(going)

    def close(self) -> None:
        """Closes every connection and removes the socket."""
        for client in list(self._clients):
            client.close()
        self._selector.unregister(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # the client is gone already
            return
        self._clients.add(_Client(connection, self._selector, self._answer, self._clients.discard))

    def _answer(self, command: str) -> Any:
        handler = self._commands.get(command)
        if handler is None:
            known = ", ".join(sorted(self._commands))
            return {"error": f"unknown command {command!r}; known: {known}"}
        return handler()


class _Client:
    """One connection: reads a command, writes the answer, closes."""

    def __init__(
        self,
        connection: socket.socket,
        selector: selectors.BaseSelector,
        answer: Callable[[str], Any],
        closed: Callable[[_Client], None],
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._selector = selector
        self._answer = answer
        self._closed = closed
        self._received = b""
        self._unsent = memoryview(b"")
        self._slices: Iterator[Any] | None = None
        selector.register(connection, selectors.EVENT_READ, self._read)

    @property
    def waits(self) -> bool:
        """Whether its answer is still being made."""
        return self._slices is not None

    def step(self) -> bool:
        """Does one slice of what it waits for; whether there is more."""
        if self._slices is None:
            return False
        answer = next(self._slices)
        if answer is None:
            return True
        self._slices = None
        self._selector.register(self._connection, selectors.EVENT_WRITE, self._write)
        self._begin(answer)
        return False

    def close(self) -> None:
        if self._slices is None:
            self._selector.unregister(self._connection)
        self._connection.close()
        self._closed(self)

    def _read(self) -> None:
        try:
            data = self._connection.recv(_MAX_COMMAND_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        if b"\n" in self._received:
            command = self._received.split(b"\n", 1)[0].decode(errors="replace").strip()
            answer = self._answer(command)
            if isinstance(answer, Iterator):
                self._slices = answer
                self._selector.unregister(self._connection)  # a client that goes is seen later
            else:
                self._selector.modify(self._connection, selectors.EVENT_WRITE, self._write)
                self._begin(answer)
        elif not data or len(self._received) > _MAX_COMMAND_BYTES:
            self.close()

    def _begin(self, answer: Any) -> None:
        self._unsent = memoryview(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
        self._write()

    def _write(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self.close()
