from __future__ import annotations

import json
import os
from pathlib import Path

from orchestrator.attach import running_machine
from orchestrator.machine.endpoints import ENDPOINTS_FILE, Endpoints

NOBODY = 2**22 + 1
"""No process has this id: Linux gives out none above 2**22."""


def endpoints(pid: int) -> Endpoints:
    return Endpoints(
        qemu_pid=pid,
        ssh={"dom0": ["ssh", "root@127.0.0.1"]},
        gdb=Path("/p/gdb"),
        images={"xen": Path("/a/xen")},
        domids={"dom0": 0},
    )


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / ENDPOINTS_FILE
    endpoints(os.getpid()).write(file)
    assert Endpoints.read(file) == endpoints(os.getpid())
    assert [path.name for path in tmp_path.iterdir()] == [ENDPOINTS_FILE]


def test_a_machine_that_ended_without_a_word_is_none(tmp_path):
    endpoints(NOBODY).write(tmp_path / ENDPOINTS_FILE)
    assert Endpoints.read(tmp_path / ENDPOINTS_FILE) is None


def test_an_older_testbed_s_file_says_less(tmp_path):
    file = tmp_path / ENDPOINTS_FILE
    file.write_text(json.dumps({"qemu_pid": os.getpid(), "ssh": {}}))
    known = Endpoints.read(file)
    assert known is not None
    assert known.gdb is None


def test_the_newest_that_runs_is_attached_to(tmp_path):
    for name, pid in (("1-runs", os.getpid()), ("2-runs", os.getpid()), ("3-ended", NOBODY)):
        (tmp_path / name).mkdir()
        endpoints(pid).write(tmp_path / name / ENDPOINTS_FILE)
    assert running_machine(tmp_path) == tmp_path / "2-runs" / ENDPOINTS_FILE
    assert running_machine(tmp_path / "3-ended") is None
