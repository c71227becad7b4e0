from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine.process import QemuProcess


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_leaving_the_context_ends_the_process(tmp_path):
    with QemuProcess(["sleep", "100"], tmp_path / "log") as process:
        assert process.running
    assert not alive(process.pid)


def test_an_exception_ends_the_process(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        QemuProcess(["sleep", "100"], tmp_path / "log") as process,
    ):
        raise KeyboardInterrupt
    assert not alive(process.pid)


def test_a_process_that_ended_is_reported_with_what_it_said(tmp_path):
    with QemuProcess(["sh", "-c", "echo no such board; exit 1"], tmp_path / "log") as process:
        deadline = time.monotonic() + 5
        while process.running and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(InfrastructureError, match="status 1: no such board"):
            process.check()


def test_the_process_dies_with_its_parent_even_by_kill(tmp_path):
    code = (
        "import pathlib, sys, time\n"
        "from orchestrator.machine.process import QemuProcess\n"
        f"p = QemuProcess(['sleep', '100'], pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "time.sleep(0.3)\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    os.kill(parent.pid, 9)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def test_the_command_is_logged_ready_to_paste(tmp_path):
    lines: list[str] = []
    with QemuProcess(["sh", "-c", "exit 0"], tmp_path / "log", lines.append):
        pass
    assert lines == ["$ sh -c 'exit 0'"]
