"""domUs are set up by dom0 a few at a time, and a failure is not waited for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine import Machine, MachineDescription


@pytest.fixture
def machine(monkeypatch):
    machine = Machine(MachineDescription.load(), None, Path("/nowhere"))  # type: ignore[arg-type]
    monkeypatch.setattr(machine, "check", lambda: None)
    return machine


def test_two_domains_at_a_time(machine):
    busy, most, lock = 0, [], threading.Lock()

    def create(number):
        nonlocal busy
        with machine._its_turn(f"domU{number}", Deadline.after(30)):
            with lock:
                busy += 1
                most.append(busy)
            time.sleep(0.02)
            with lock:
                busy -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(8)))
    assert len(most) == 8
    assert max(most) == 2


def test_a_turn_that_does_not_come_is_an_error(machine):
    now = Deadline.after(0)
    with (
        machine._its_turn("domU1", Deadline.after(30)),
        machine._its_turn("domU2", Deadline.after(30)),
        pytest.raises(InfrastructureError, match="domU3: dom0 was still busy"),
        machine._its_turn("domU3", now),
    ):
        pass


def test_after_a_failure_nobody_begins_and_the_turn_is_given_back(machine, monkeypatch):
    def gone():
        raise InfrastructureError("the machine is being torn down")

    monkeypatch.setattr(machine, "check", gone)
    for name in ("domU1", "domU2", "domU3"):
        with (
            pytest.raises(InfrastructureError, match="torn down"),
            machine._its_turn(name, Deadline.after(30)),
        ):
            pass
