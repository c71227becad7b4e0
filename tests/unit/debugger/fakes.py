"""QEMU's gdb stub, for tests: answers OK to everything and keeps what it was told."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path
from typing import Self

from orchestrator.debugger.stub import framed


class FakeStub:
    """Listens until its context is left; one client after the other, as QEMU."""

    def __init__(self, path: Path, answers: int = 100, silent: bool = False) -> None:
        self.path = path
        self.packets: list[str] = []
        self.acknowledged = 0
        self._answers, self._silent = answers, silent
        self._listener = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        while data := client.recv(4096):
            self.acknowledged += data.count(b"+")
            for packet in re.findall(rb"\$([^#]*)#..", data):
                self.packets.append(packet.decode())
                if self._silent:
                    continue
                if len(self.packets) > self._answers:
                    return
                client.sendall(b"+" + framed("OK"))
