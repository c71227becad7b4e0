"""Configuration, records, the control socket and the loop."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from testbed.store import config as config_module
from testbed.store import control
from testbed.store import service as service_module
from testbed.store.config import load
from testbed.store.controlserver import ControlServer
from testbed.store.errors import ConfigError, StoreError
from testbed.store.protocol import Op
from testbed.store.records import RecordSink
from testbed.store.service import Service
from testbed.store.transport.inprocess import InProcessEdge
from tests.unit.store.support import Frontend, make_config, request, ring_library

GOOD = """
[store]
arena_bytes = 2097152
arena_path = "/tmp/arena"
mark_interval_ms = 250
records = "/tmp/records"
control_socket = "/tmp/control"
max_data_pages = 64

[[domain]]
name = "domU1"
quota_bytes = 1048576
group = "g"

[[domain]]
name = "domU2"
quota_bytes = 1048576
group = "g"
"""


def write(tmp_path, text):
    path = tmp_path / "store.toml"
    path.write_text(text)
    return path


def test_a_good_configuration(tmp_path):
    config = load(write(tmp_path, GOOD))
    assert config.arena_bytes == 2097152
    assert [domain.name for domain in config.domains] == ["domU1", "domU2"]
    assert config.state_path == Path("/tmp/state")
    other = load(write(tmp_path, GOOD.replace("arena_path", "state_path")))
    assert other.state_path == Path("/tmp/arena")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max_data_pages = 64", "max_data_page = 64", "unknown key 'store.max_data_page'; allowed"),
        ("max_data_pages = 64", "max_data_pages = 1025", "is 1025; allowed: an integer from 1 to"),
        ("max_data_pages = 64", "max_data_pages = true", "is True; allowed: an integer"),
        ("max_data_pages = 64", "", "store.max_data_pages is missing"),
        ('arena_path = "/tmp/arena"', "", "store.state_path is missing"),
        (
            "arena_bytes = 2097152",
            "arena_bytes = 2000000",
            "the sum of the quotas, 2097152",
        ),
        ('name = "domU2"', 'name = "domU1"', "'domU1' is used twice"),
        ('group = "g"', "group = 7", "is 7; allowed: a string"),
        ("[store]", "[stor]", "unknown table 'stor'"),
        ("\n[[", "[store.second_look]\npointer = true\n\n[[", "'store.second_look.pointer'; all"),
        ("\n[[", "[store.second_look]\ncpu_share = 2\n\n[[", "a number from 0.001 to 1"),
        ("\n[[", "second_look = 1\n\n[[", "there is no table 'store.second_look'"),
        ("[store]", "[store", "store.toml"),
    ],
)
def test_a_bad_configuration_gets_one_clear_line(tmp_path, old, new, expected):
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, GOOD.replace(old, new, 1)))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_the_service_exits_with_2_when_it_cannot_start(tmp_path):
    command = [sys.executable, "-m", "testbed.store", "--config", tmp_path / "missing.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "missing.toml" in done.stderr


def test_the_example_in_the_documentation_is_a_good_one(tmp_path):
    block = config_module.__doc__.split("::\n", 1)[1]
    load(write(tmp_path, "\n".join(line[4:] for line in block.splitlines())))


def test_records_are_numbered_and_a_slow_reader_loses_whole_lines(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = RecordSink(path)
    for _ in range(2000):
        sink.write("event", {"detail": "x" * 100})
    assert sink.dropped > 0
    received = b""
    for _ in range(3):
        while True:
            try:
                data = os.read(reader, 65536)
            except BlockingIOError:
                break
            received += data
        sink.write("event", {"detail": "after"})
    lines = [json.loads(line) for line in received.splitlines()]
    sequences = [line["sequence"] for line in lines]
    assert sequences == sorted(set(sequences))
    assert len(lines) + sink.dropped + 1 == sink.sequence
    assert lines[-1]["detail"] == "after"
    os.close(reader)
    sink.write("event", {})  # nobody reads any more: dropped, not an error
    sink.close()


def test_a_missing_device_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        RecordSink(tmp_path.__class__("/dev/pageshare-there-is-no-such-port"))


@pytest.fixture
def service(tmp_path):
    config = make_config(tmp_path)
    edges = []

    def make_edge(_, batch):
        edges.append(InProcessEdge(ring_library(), batch))
        return edges[0]

    with Service(config, make_edge) as service:
        service.config, service.edge = config, edges[0]
        yield service


@pytest.fixture
def running(service, monkeypatch):
    monkeypatch.setattr(service_module, "_IDLE_SECONDS", 0.05)  # sees stop() soon
    thread = threading.Thread(target=service.run)
    thread.start()
    yield service
    service.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_the_loop_answers_a_frontend(service):
    frontend = Frontend()
    service.edge.attach("domU1", frontend.shared)
    frontend.send(request(Op.INVALIDATE_AREA))
    assert service.turn(1.0)
    assert len(frontend.receive()) == 1
    assert not service.turn(0.0)
    service.edge.disconnect("domU1", "end of the test")
    frontend.close()


def test_every_control_command_answers(running):
    path = running.config.control_socket
    for command in control.COMMANDS:
        assert isinstance(control.ask(path, command), dict)
    assert control.ask(path, "status")["configured"] == ["domU1", "domU2"]
    assert control.ask(path, "verify")["ok"]
    began = time.monotonic()
    control.ask(path, "verify")
    assert time.monotonic() - began < 0.8  # it does not wait for the loop to be idle
    with pytest.raises(StoreError, match="unknown command 'nonsense'"):
        control.ask(path, "nonsense")


def test_the_control_command_line(running, capsys):
    assert control.main(["--socket", str(running.config.control_socket), "status"]) == 0
    assert json.loads(capsys.readouterr().out)["connected"] == []
    assert control.main(["--socket", "/nowhere/at/all", "status"]) == 1
    assert "cannot be asked" in capsys.readouterr().err


def test_a_client_that_says_nothing_holds_nothing_up(running):
    path = str(running.config.control_socket)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as rude:
        silent.connect(path)
        rude.connect(path)
        rude.sendall(b"x" * 1000)
        assert control.ask(running.config.control_socket, "status")["connected"] == []


def test_a_long_answer_arrives_whole(tmp_path):
    with selectors.DefaultSelector() as selector:
        server = ControlServer(tmp_path / "socket", selector, {"long": lambda: ["x" * 99] * 50000})
        answers = []
        client = threading.Thread(
            target=lambda: answers.append(control.ask(tmp_path / "socket", "long"))
        )
        client.start()
        end = time.monotonic() + 20
        while client.is_alive() and time.monotonic() < end:
            for key, _ in selector.select(0.05):
                key.data()
        client.join(5)
        assert len(answers[0]) == 50000
        server.close()
    assert not (tmp_path / "socket").exists()


def test_what_lies_in_files_is_private(service):
    folder = service.config.state_path
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert service.config.control_socket.stat().st_mode & 0o777 == 0o600
