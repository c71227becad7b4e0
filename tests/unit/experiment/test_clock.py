"""The counted clock in an experiment file, and a host that is busy meanwhile."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment
from orchestrator.experiment.load import CHECKOUT
from orchestrator.runner import describe_machine, host_load

FILES = CHECKOUT / "testbed/experiments"


def test_a_counted_clock_reaches_the_machine():
    experiment = load_experiment(FILES / "repeatability.toml")
    qemu = describe_machine(experiment, experiment.variants[0]).qemu
    assert (qemu.timing, qemu.cpus, qemu.seed) == ("icount", 1, experiment.seed)
    experiment = load_experiment(FILES / "figure2.toml")
    assert describe_machine(experiment, experiment.variants[0]).qemu.timing == "realtime"


@pytest.mark.parametrize("name", ["faults", "hostile"])
def test_what_goes_by_the_hosts_clock_cannot_be_counted(tmp_path, name):
    text = (FILES / f"{name}.toml").read_text()
    path = tmp_path / "counted.toml"
    path.write_text(text.replace("\n[workload]", 'timing = "icount"\n[workload]', 1))
    with pytest.raises(UserError, match="faults and churn go by the host's clock"):
        load_experiment(path)


def test_a_host_is_busy_until_the_end_of_the_block(monkeypatch):
    started = []

    class Counted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(host_load.subprocess, "Popen", Counted)
    with host_load.host_load(2):
        assert [process.poll() for process in started] == [None, None]
    assert [process.poll() for process in started] == [0, 0]
