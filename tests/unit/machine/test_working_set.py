"""Working sets over a real SSH connection, in a guest that does not swap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.errors import InfrastructureError, WorkloadFailed
from orchestrator.machine import ConsoleLog
from orchestrator.workloads import SetPlan, WorkingSet, expected_digests, working_set
from tests.unit.machine.support import soon

PLAN = SetPlan(
    pages=200,
    shares={"zero": 1, "equal": 2, "similar": 1, "text": 2, "random": 0},
    rounds=2,
    rewrite=0.3,
    seed=4,
)


class Machine:
    """A machine whose one domU is this one."""

    def __init__(self, domain):
        self.domain = domain

    def check_all(self):
        pass

    def in_parallel(self, calls):
        with ThreadPoolExecutor(max(len(calls), 1)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]


@pytest.fixture
def domain(ssh, tmp_path, monkeypatch):
    installed = str(tmp_path / "installed")
    monkeypatch.setattr(working_set, "PROGRAM", installed)
    monkeypatch.setattr("orchestrator.workloads.pagegen.PROGRAM", installed)
    monkeypatch.setattr(working_set, "JOB", f"{tmp_path}/job")
    # without a console, a job is asked whether it has ended
    return SimpleNamespace(name="domU1", ssh=ssh, console=None)


def work(domain, program, **fields):
    workload = WorkingSet(program, PLAN, {"domU1": 6}, poll_seconds=0.05, **fields)
    return workload.run(Machine(domain), [domain], soon())["domU1"]


def test_a_domain_reads_what_it_must(domain, program):
    order = []

    @contextmanager
    def timed():
        order.append((domain.ssh.run(f"ls {working_set.JOB}", deadline=soon())).stdout.split())
        yield
        order.append((domain.ssh.run(f"ls {working_set.JOB}", deadline=soon())).stdout.split())

    result = work(domain, program, timed=timed)
    assert result.digests == expected_digests(program, PLAN, 6)
    assert list(result.digests) == ["round 1", "round 2", "end"]
    assert result.digests != expected_digests(program, PLAN, 7)
    assert result.rewrites + result.verified == 3 * 200
    assert 0 < result.fill_seconds <= result.seconds <= result.wall_seconds + 1
    before, after = order
    assert "status" not in before  # the clock starts before the barrier,
    assert "status" in after  # and stops when all have ended


def spoilt(tmp_path, record, status):
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\necho '{record}'\nexit {status}\n")
    return broken


def test_a_wrong_byte_is_told_with_its_place(domain, tmp_path):
    record = '{"phase":"different","page":17,"offset":4000,"kind":"equal","version":2,"round":3}'
    said = r"domU1: page 17 differs at offset 4000: .*'equal', version 2, read in round 3"
    with pytest.raises(WorkloadFailed, match=said):
        work(domain, spoilt(tmp_path, record, 1))


@pytest.mark.parametrize("status", [3, 137])
def test_an_error_or_a_kill_is_told_as_it_is(domain, tmp_path, status):
    record = '{"phase":"error","error":"SIGBUS","page":3}'
    with pytest.raises(WorkloadFailed, match=rf"pagegen ended with status {status}(.|\n)*SIGBUS"):
        work(domain, spoilt(tmp_path, record, status))


def test_an_end_without_figures_is_a_failure(domain, tmp_path):
    with pytest.raises(WorkloadFailed, match="without its figures: nonsense"):
        work(domain, spoilt(tmp_path, "nonsense", 0))


def test_what_cannot_be_expected_is_no_run(tmp_path):
    broken = spoilt(tmp_path, "nonsense", 0)
    broken.chmod(0o755)
    with pytest.raises(InfrastructureError, match="nonsense"):
        expected_digests(broken, PLAN, 0)


def test_a_domain_that_begins_later_sleeps_first():
    workload = WorkingSet(Path("p"), PLAN, {"domU1": 0, "domU2": 1}, skew={"domU2": 0.25})
    assert workload.script("domU1").startswith("exec ")
    first, second = workload.script("domU2").splitlines()
    assert first == "sleep 0.250"
    assert "--domain 1" in second
    assert "random" not in second  # a kind without a part


def test_jobs_announce_their_end_on_the_console(domain, program, tmp_path):
    console = ConsoleLog("domU1", tmp_path / "console")
    domain.console = console
    job = WorkingSet(program, PLAN, {"domU1": 0})._prepare(domain, soon())
    assert job.announcement is not None
    assert job.announcement.console is console
