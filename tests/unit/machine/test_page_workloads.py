"""Page loops and page streams over a real SSH connection, in a guest that does not swap."""

from __future__ import annotations

import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from orchestrator.errors import GuestHung, InfrastructureError, WorkloadFailed
from orchestrator.machine import ConsoleLog, jobs
from orchestrator.machine.jobs import Announcement
from orchestrator.workloads import (
    Churned,
    DomainSwap,
    KernelCompile,
    PageChurn,
    PageLoop,
    PageLoops,
    PageStream,
    kernel_compile,
    page_churn,
    page_loop,
    page_stream,
    pagegen,
)
from orchestrator.workloads.together import Nobody
from tests.unit.machine.support import soon


@pytest.fixture
def domain(ssh, tmp_path, monkeypatch):
    installed = str(tmp_path / "installed")
    for module in (page_churn, page_loop, page_stream, pagegen):
        monkeypatch.setattr(module, "PROGRAM", installed)
    monkeypatch.setattr(page_loop.page_loop_script, "__defaults__", (f"{tmp_path}/l", installed))
    monkeypatch.setattr(page_loop, "FOLDER", f"{tmp_path}/l")
    monkeypatch.setattr(page_churn, "FOLDER", f"{tmp_path}/churn")
    monkeypatch.setattr(page_stream, "JOB", f"{tmp_path}/stream")
    monkeypatch.setattr(page_stream, "FRONTEND", f"{tmp_path}/pageshare")
    return SimpleNamespace(name="domU1", ssh=ssh, console=None, check=lambda: None)


def stream(program, swap):
    return PageStream(
        program,
        pages=100,
        mix={"text": 1, "zero": 1},
        rounds=1,
        seed=3,
        swap=DomainSwap(swap),
    )


def test_a_stream_gives_its_figures(domain, program):
    figures = stream(program, "disk").run(domain, 64, soon())
    assert (figures.pages, figures.mismatches, figures.memory_bytes) == (100, 0, 0)
    assert figures.in_pages + figures.still_in_pages == 200


def test_a_stream_through_the_store_must_have_gone_there(domain, program, tmp_path):
    with pytest.raises(InfrastructureError, match="nothing went to the store"):
        stream(program, "pageshare").run(domain, 64, soon())
    (tmp_path / "pageshare").mkdir()
    (tmp_path / "pageshare/stores").write_text("90\n")
    (tmp_path / "pageshare/frontend_bytes").write_text("70000\n")
    assert stream(program, "pageshare").run(domain, 64, soon()).memory_bytes == 70000
    with pytest.raises(InfrastructureError, match=r"took 90 pages .* to disk: .*enabled=0"):
        stream(program, "disk").run(domain, 64, soon())


def test_a_stream_that_ends_with_an_error(domain, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\necho \'{"phase":"error","error":"SIGBUS","page":3}\'\nexit 3\n')
    with pytest.raises(WorkloadFailed, match=r"status 3.*SIGBUS"):
        stream(broken, "disk").run(domain, 64, soon())


def rounds_of(loops, tmp_path, least):
    end = time.monotonic() + 20
    rounds = tmp_path / "l/rounds"
    while not rounds.exists() or len(rounds.read_text().splitlines()) < least:
        loops.check(soon())
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_loop_is_counted_over_the_lives_of_its_domain(domain, program, tmp_path):
    loops = PageLoops(program, {"domU1": PageLoop(64, 1)})
    loops.start(domain, soon())
    rounds_of(loops, tmp_path, 2)
    loops.forget("domU1", soon())
    before = loops.rounds["domU1"]
    assert before >= 2
    loops.check(soon())  # it is asked no more
    domain.ssh.run(["touch", f"{tmp_path}/l/stop"], deadline=soon())
    time.sleep(0.5)
    loops.start(domain, soon())
    rounds_of(loops, tmp_path, 1)
    loops.finish(soon())
    assert loops.rounds["domU1"] > before
    assert loops.problems == []


@pytest.mark.parametrize("status", [1, 3])
def test_a_loop_that_found_something(domain, tmp_path, status):
    broken = tmp_path / "broken"
    record = '{"phase":"verified","mismatches":3,"first_mismatch":17}'
    broken.write_text(f"#!/bin/sh\necho '{record}'\nexit {status}\n")
    loops = PageLoops(broken, {"domU1": PageLoop(64, 1)})
    loops.start(domain, soon())
    time.sleep(0.3)
    if status == 1:
        loops.check(soon())
        said = "domU1: 3 pages (the first is 17) came back different in round 1"
        assert loops.problems == [said]
        loops.finish(soon())
    else:
        with pytest.raises(WorkloadFailed, match="pagegen ended with status 3"):
            loops.check(soon())


def test_a_churn_adds_up_all_its_loops(domain, program, tmp_path):
    churning = PageChurn(program, pages=64, loops=2, seed=1, tolerate=True).start(domain, soon())
    end = time.monotonic() + 20
    while churning.result(soon()).rounds < 4:
        churning.check(soon())
        assert time.monotonic() < end
    churned = churning.finish(soon())
    assert churned == Churned(churned.rounds, 64 * churned.rounds, errors=0, mismatches=0)
    assert churned.rounds >= 4
    assert sorted(path.name for path in (tmp_path / "churn").glob("done.*")) == ["done.0", "done.1"]


def churn_of(domain, tmp_path, record, status):
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\necho '{record}'\nexit {status}\n")
    churning = PageChurn(broken, pages=64, loops=1, seed=1).start(domain, soon())
    time.sleep(0.5)
    return churning


def test_a_churn_that_finds_other_bytes_says_how_many(domain, tmp_path):
    record = '{"phase":"verified","pages":64,"mismatches":3,"first_mismatch":17,"errors":2}'
    churning = churn_of(domain, tmp_path, record, 1)
    with pytest.raises(WorkloadFailed, match=r"status 1.*first_mismatch"):
        churning.check(soon())
    assert churning.finish(soon()) == Churned(rounds=1, pages=64, errors=2, mismatches=3)


def test_a_churn_that_ends_with_an_error(domain, tmp_path):
    churning = churn_of(domain, tmp_path, '{"phase":"error","error":"SIGBUS","page":3}', 3)
    with pytest.raises(WorkloadFailed, match=r"status 3.*SIGBUS"):
        churning.finish(soon())


def test_a_domain_without_a_loop_is_left_alone(domain):
    loops = PageLoops(None, {})
    loops.start(domain, soon())
    loops.forget("domU1", soon())
    loops.finish(soon())


class Job:
    """A build that ends with a status when it was asked so often."""

    def __init__(self, asked, status):
        self.asked, self.status = asked, status

    def is_due(self):
        return True

    def poll(self, *, deadline):
        self.asked -= 1
        return self.status if self.asked <= 0 else None

    def log(self, *, lines):
        return "cc1: Bus error"


MACHINE = SimpleNamespace(check_all=lambda: None)


def wait(jobs, **fields):
    workload = KernelCompile(["lib/idr.o"], poll_seconds=0.01, **fields)
    return workload._together.wait(MACHINE, jobs, soon(), Nobody())


def test_a_failed_build_is_told_at_once():
    jobs = {"domU1": Job(1, 2), "domU2": Job(5, 0)}
    with pytest.raises(WorkloadFailed, match=r"domU1: make ended with status 2(.|\n)*Bus error"):
        wait(jobs)
    assert jobs["domU2"].asked > 0


def test_a_patient_one_waits_for_the_others():
    jobs = {"domU1": Job(1, 2), "domU2": Job(5, 0)}
    with pytest.raises(WorkloadFailed, match="domU1: make ended with status 2"):
        wait(jobs, patient=True)
    assert jobs["domU2"].asked == 0


def test_builds_that_end_well():
    assert set(wait({"domU1": Job(2, 0), "domU2": Job(4, 0)})) == {"domU1", "domU2"}


def test_a_build_is_left_alone_until_it_says_that_it_has_ended(tmp_path):
    console = ConsoleLog("domU1", tmp_path / "domU1.log")
    announced = Announcement(console, "build 7 has ended")
    assert not announced.is_due()
    console.path.write_text("build 6 has ended\n")
    assert not announced.is_due()
    console.path.write_text("build 6 has ended\nbuild 7 has ended\n")
    assert announced.is_due()


def test_a_build_that_says_nothing_is_asked_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_ALONE_SECONDS", 0.05)
    console = ConsoleLog("domU1", tmp_path / "domU1.log")
    announced = Announcement(console, "build 7 has ended")
    assert not announced.is_due()
    time.sleep(0.06)
    assert announced.is_due()
    assert not announced.is_due()


def test_a_log_that_cannot_be_had_does_not_hide_the_failure(monkeypatch):
    def hangs(self, *, lines):
        raise GuestHung("no answer")

    monkeypatch.setattr(Job, "log", hangs)
    with pytest.raises(WorkloadFailed, match="not to be had: no answer"):
        wait({"domU1": Job(1, -1)})


def test_only_complete_objects_of_a_failed_build_count(domain, tmp_path, monkeypatch):
    tree = tmp_path / "lib"
    tree.mkdir()
    for name in ("idr.o", ".idr.o.cmd", "sort.o", ".bitmap.o.cmd"):
        (tree / name).write_text(name)
    script = kernel_compile._EXISTING.replace("/toolchain{tree}", str(tmp_path))
    monkeypatch.setattr(kernel_compile, "_EXISTING", script)
    workload = KernelCompile(["lib/idr.o", "lib/sort.o", "lib/bitmap.o"], asking=nullcontext)
    found = workload.existing(domain, soon())
    assert set(found) == {"lib/idr.o"}
    assert len(found["lib/idr.o"]) == 64
