"""The store as a process: killed, started again, frozen; by a stand-in that says ready."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine import Store, StoreDescription
from orchestrator.machine import store as store_module
from orchestrator.machine.console import ConsoleLog
from tests.unit.machine.support import soon


@pytest.fixture
def service(ssh, tmp_path, monkeypatch):
    folder, log = tmp_path / "job", tmp_path / "store.log"
    script = (
        "cd / && mkdir -p {folders} && echo $$ >{service} || exit 1\n"
        f"exec sh -c 'echo ready; while :; do sleep 0.05; echo tick; done' >>{log} 2>&1 # {{port}}"
    )
    monkeypatch.setattr(store_module, "_JOB", str(folder))
    monkeypatch.setattr(store_module, "_SERVICE", f"{folder}/service")
    monkeypatch.setattr(store_module, "_SCRIPT", script)
    monkeypatch.setattr(Store, "control", lambda self, command, deadline: {"asked": command})
    description = StoreDescription(
        control_socket=f"{tmp_path}/run/control", arena_path=f"{tmp_path}/run/arena"
    )
    found = Store(ssh, description, ConsoleLog("store", log), lambda: None)
    found.start(soon())
    found.wait_ready(soon())
    yield found
    if found.running():
        found.kill(soon())


def ticks(service: Store) -> int:
    return Path(service.console.path).read_text().count("tick")


def moves(service: Store) -> bool:
    before = ticks(service)
    time.sleep(0.4)
    return ticks(service) > before


def test_a_killed_store_is_gone_and_starts_again_by_the_same_command(service):
    for _ in range(3):
        service.kill(soon())
        assert not service.running()
        assert not moves(service)
        assert service.start_again(soon()) == {"asked": "status"}
        assert service.running()
        assert moves(service)


def test_a_frozen_store_stands_still_and_goes_on(service):
    service.freeze(soon())
    assert service.running()
    assert not moves(service)
    service.thaw(soon())
    assert moves(service)


def test_a_store_that_does_not_run_cannot_be_killed(service):
    service.kill(soon())
    with pytest.raises(InfrastructureError, match="cannot be killed"):
        service.kill(soon())
