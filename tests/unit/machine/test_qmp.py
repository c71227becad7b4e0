"""The facade against a QMP server of a few lines (the protocol is JSON lines)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine import QmpClient

GREETING = {
    "QMP": {
        "version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""},
        "capabilities": [],
    }
}
USERNET = (
    "Hub -1 (net0):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[HOST_FORWARD]  15       127.0.0.1 40001       10.0.2.15    22     0     0\r\n"
    "  TCP[HOST_FORWARD]  16       127.0.0.1 40002      10.0.2.101    22     0     0\r\n"
)
ANSWERS = {
    "qmp_capabilities": {},
    "query-memory-size-summary": {"base-memory": 1 << 30},
    "ringbuf-read": '{"kind":"mark"}\n',
    "human-monitor-command": USERNET,
    "qom-set": {},
    "stop": {},
    "cont": {},
    "pmemsave": {},
    "qom-get": {
        "stats": {"stat-total-memory": 1000, "stat-swap-in": 2**64 - 1},
        "last-update": 0,
    },
}


HEARD: list[tuple[str, Any]] = []
"""Commands with their arguments, oldest first."""


def _requests(link: socket.socket) -> Iterator[dict[str, Any]]:
    """Requests have nothing between them: each ends where its JSON does."""
    text = ""
    while data := link.recv(65536):
        text += data.decode()
        while text.strip():
            try:
                request, end = json.JSONDecoder().raw_decode(text.strip())
            except ValueError:
                break
            text = text.strip()[end:]
            yield request


def _serve(listener: socket.socket) -> None:
    link, _ = listener.accept()
    with link:
        link.sendall(json.dumps(GREETING).encode() + b"\r\n")
        for request in _requests(link):
            HEARD.append((request["execute"], request.get("arguments")))
            if request["execute"] == "never":
                continue
            reply: dict[str, object] = {"id": request.get("id")}
            if request["execute"] in ANSWERS:
                reply["return"] = ANSWERS[request["execute"]]
            else:
                reply["error"] = {"class": "CommandNotFound", "desc": "no such command"}
            link.sendall(json.dumps(reply).encode() + b"\r\n")


@pytest.fixture
def qmp(tmp_path: Path) -> Iterator[QmpClient]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "qmp"))
    listener.listen()
    threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    with QmpClient(tmp_path / "qmp", Deadline.after(5), lambda: None) as client:
        yield client
    listener.close()


def test_statistics_come_as_plain_values(qmp):
    assert qmp.memory_summary() == {"base-memory": 1 << 30}
    assert qmp.ringbuf_read("pageshare.stats") == '{"kind":"mark"}\n'


def test_what_the_guest_never_told_is_none(qmp):
    assert qmp.balloon_stats() == {"total-memory": 1000, "swap-in": None, "last-update": None}


def test_forwarded_ports_are_read_from_the_monitor(qmp):
    assert qmp.forwarded_ports() == {"10.0.2.15": 40001, "10.0.2.101": 40002}


def test_a_refused_command_is_an_infrastructure_error(qmp):
    with pytest.raises(InfrastructureError, match=r"QMP nonsense: .*no such command"):
        qmp.execute("nonsense")


def test_a_command_without_an_answer_ends_at_its_deadline(qmp):
    with pytest.raises(InfrastructureError, match="QMP never: no answer"):
        qmp.execute("never", deadline=Deadline.after(0.2))


def test_threads_may_share_it(qmp):
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(qmp.memory_summary())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8


def test_a_closed_connection_says_so(qmp):
    qmp.close()
    with pytest.raises(InfrastructureError, match="closed"):
        qmp.memory_summary()


def test_waiting_for_a_socket_ends_when_qemu_is_gone(tmp_path):
    def gone() -> None:
        raise InfrastructureError("QEMU ended by itself")

    with pytest.raises(InfrastructureError, match="QEMU ended"):
        QmpClient(tmp_path / "none", Deadline.after(5), gone)


def test_memory_is_saved_while_the_machine_stands_and_it_goes_on(qmp, tmp_path):
    HEARD.clear()
    path = tmp_path / "memory"
    with pytest.raises(RuntimeError), qmp.standing(Deadline.after(5)):
        qmp.save_memory(0x40000000, 4096, path, Deadline.after(5))
        raise RuntimeError("whatever happens")
    wanted = {"val": 0x40000000, "size": 4096, "filename": str(path)}
    assert [("stop", None), ("pmemsave", wanted), ("cont", None)] == HEARD
