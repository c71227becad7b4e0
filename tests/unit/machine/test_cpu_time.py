"""CPU time of every domain, as Xen counts it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine import DOM0, CpuTime
from orchestrator.machine.cpu_time import parse_cpu_times


class Dom0:
    """Its answers, one after the other; an error where there is none."""

    def __init__(self, *said):
        self.said = list(said)
        self.asked = []

    def run(self, command, *, deadline):
        self.asked.append(command)
        said = self.said.pop(0)
        if said is None:
            raise InfrastructureError("dom0: no module named xen")
        return SimpleNamespace(stdout=said)


def machine(*said, **domids):
    domains = {name: SimpleNamespace(domid=domid) for name, domid in domids.items()}
    return SimpleNamespace(
        dom0=SimpleNamespace(ssh=Dom0(*said)), domains=domains, check=lambda: None
    )


def test_domains_are_known_by_their_numbers():
    said = "0 1500000000\n3 250000000\n7 1\n"
    assert parse_cpu_times(said, {"dom0": 0, "domU1": 3, "gone": 4}) == {"dom0": 1.5, "domU1": 0.25}


@pytest.mark.parametrize("said", ["Name ID\n", "0 1 2\n", "0 x\n"])
def test_anything_else_is_an_error(said):
    with pytest.raises(InfrastructureError, match="nobody can read"):
        parse_cpu_times(said, {"dom0": 0})


def test_what_was_computed_in_a_block():
    cpu = CpuTime(machine("0 1000000000\n1 0\n", "0 4000000000\n1 500000000\n", domU1=1))
    with cpu.measuring():
        assert cpu.seconds == {}
    assert cpu.seconds == {DOM0: 3.0, "domU1": 0.5}


def test_a_domain_that_came_meanwhile_has_none():
    cpu = CpuTime(machine("0 1\n", "0 2\n1 9\n", domU1=1))
    with cpu.measuring():
        pass
    assert cpu.seconds.keys() == {DOM0}


@pytest.mark.parametrize("said", [(None, "0 9\n"), ("0 9\n", None)])
def test_a_run_goes_on_without_the_figures_and_says_so(said):
    told = []
    cpu = CpuTime(machine(*said), told.append)
    with cpu.measuring():
        pass
    assert cpu.seconds == {}
    assert told == ["dom0: no module named xen"]


def test_a_machine_that_is_lost_ends_the_run():
    lost = machine(None)

    def check():
        raise InfrastructureError("QEMU ended")

    lost.check = check
    with pytest.raises(InfrastructureError, match="QEMU ended"), CpuTime(lost).measuring():
        pass


def test_work_that_fails_is_what_is_told():
    cpu = CpuTime(machine("0 1\n"))
    with pytest.raises(ZeroDivisionError), cpu.measuring():
        raise ZeroDivisionError
    assert cpu.seconds == {}
