"""Builds go on until every fault has struck; each one's objects are compared."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestHung, InfrastructureError, WorkloadFailed
from orchestrator.experiment import Experiment
from orchestrator.results import DomainOutcome
from orchestrator.runner import faulty_compile, setting
from orchestrator.runner.expected import expected_objects
from orchestrator.runner.setting import Measured, Setting
from tests.unit.faults.fakes import (
    FakeCollector,
    FakeCompile,
    FakeLoops,
    FakeMachine,
    no_latency,
)

RIGHT = {"lib/idr.o": "a" * 64, "lib/sort.o": "b" * 64}
WRONG = {**RIGHT, "lib/sort.o": "0" * 64}


def experiment(*, count=5, expect="OK", victim=False):
    domain = {"memory_mib": 64, "quota_mib": 16, "swap_mib": 64}
    fault = {"kind": "kill-store", "count": count, "mean_gap_seconds": 0.01}
    domains = [{"name": "domU1", **domain}, {"name": "domU2", **domain}]
    if victim:
        domains.append({"name": "victim", "workload": "pages", **domain})
    return Experiment.model_validate(
        {
            "name": "faults",
            "title": "t",
            "workload": {"kind": "kernel-compile", "objects_file": "objects.txt"},
            "variant": [
                {"name": "rough", "randomize_va_space": 2, "expect": expect, "fault": [fault]}
            ],
            "domain": domains,
        }
    )


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.setattr(faulty_compile, "KernelCompile", FakeCompile)
    monkeypatch.setattr(faulty_compile, "PageLoops", FakeLoops)
    monkeypatch.setattr(faulty_compile, "build_pagegen", lambda cache: None)
    monkeypatch.setattr(faulty_compile, "domain_latency", no_latency)
    monkeypatch.setattr(setting, "Collector", FakeCollector)
    monkeypatch.setattr(FakeCompile, "made", [])
    monkeypatch.setattr(FakeLoops, "failure", None)
    events = []

    def measure(script, *, left=None, machine=None, others=None, **shape):
        monkeypatch.setattr(FakeCompile, "script", list(script))
        monkeypatch.setattr(FakeCompile, "left", left or {})
        what = experiment(**shape).model_copy(update={"other_objects": others or {}})
        names = [domain.name for domain in what.domains]
        machine = machine or FakeMachine(names)
        measured = Measured()
        folder = SimpleNamespace(
            event=lambda event, detail: events.append((event, detail)), append_sample=None
        )
        given = Setting(
            experiment=what,
            variant=what.variants[0],
            parts=SimpleNamespace(context=SimpleNamespace(cache=None)),
            folder=folder,
            progress=SimpleNamespace(log=lambda line: None),
            reference=expected_objects(RIGHT, what, what.variants[0]),
        )
        measured.events = events
        try:
            faulty_compile.measure_faulty_compile(given, machine, Deadline.after(30), measured)
        except Exception as error:
            measured.error = error
        else:
            measured.error = None
        return measured

    return measure


def test_it_builds_until_every_fault_has_struck(measure):
    measured = measure([RIGHT])
    assert measured.error is None
    assert [fault.number for fault in measured.faults] == [1, 2, 3, 4, 5]
    assert measured.builds >= 1
    assert measured.problems == []
    assert [(one.name, one.digests) for one in measured.domains] == [
        ("domU1", RIGHT),
        ("domU2", RIGHT),
    ]
    names = [event for event, _ in measured.events]
    assert names.count("fault") == 5
    assert names.count("build") == measured.builds
    detail = next(detail for event, detail in measured.events if event == "fault")
    assert detail["variant"] == "rough" and detail["host_seconds"] > 0
    assert measured.peak is not None
    assert FakeCompile.made[0].fields["clean"] is True
    assert FakeCompile.made[0].fields["patient"] is False


OWN = {"domU1": tuple(RIGHT), "domU2": tuple(RIGHT)}


def test_each_domain_is_compared_with_objects_of_its_own(measure):
    assert measure([RIGHT], others=OWN).problems == []
    measured = measure([WRONG, RIGHT], others=OWN, count=20)
    assert measured.problems[:2] == [
        "build 1: domU1: lib/sort.o differs",
        "build 1: domU2: lib/sort.o differs",
    ]


def test_a_wrong_object_of_any_build_is_a_problem(measure):
    measured = measure([WRONG, RIGHT], count=20)
    assert measured.problems[:2] == [
        "build 1: domU1: lib/sort.o differs",
        "build 1: domU2: lib/sort.o differs",
    ]
    assert measured.domains[0].digests == RIGHT, "of the last build"


def test_a_build_that_fails_ends_a_variant_that_should_not(measure):
    measured = measure([RIGHT, WorkloadFailed("make ended")], count=500, left=WRONG)
    assert str(measured.error) == "make ended"
    assert measured.builds == 1
    assert measured.problems == [
        "build 2: domU1: lib/sort.o differs",
        "build 2: domU2: lib/sort.o differs",
    ]
    assert isinstance(measured.domains[0], DomainOutcome)


def test_a_build_that_was_expected_to_fail_is_followed_by_the_next(measure):
    script = [WorkloadFailed("the first"), RIGHT, WorkloadFailed("the last")]
    left = {"lib/idr.o": "a" * 64}
    measured = measure(script, expect="WORKLOAD_FAILED", left=left)
    assert str(measured.error) == "the first"
    assert len(measured.faults) == 5, "all have struck"
    assert measured.problems == [], "what is missing is no wrong byte"
    assert measured.builds == 1
    assert FakeCompile.made[0].fields["patient"] is True
    assert measured.peak is not None


def test_a_domu_that_hangs_ends_it_in_any_case(measure):
    measured = measure([GuestHung("no answer")], expect="WORKLOAD_FAILED")
    assert isinstance(measured.error, GuestHung)


def test_a_store_that_does_not_come_back_ends_it(measure):
    machine = FakeMachine(("domU1", "domU2"))
    machine.store.broken = True
    measured = measure([RIGHT], machine=machine)
    assert isinstance(measured.error, InfrastructureError)


def test_the_pager_gets_its_load_and_builds_nothing(measure):
    measured = measure([RIGHT], victim=True)
    assert measured.error is None
    assert [(one.name, one.workload) for one in measured.domains] == [
        ("domU1", "kernel-compile"),
        ("domU2", "kernel-compile"),
        ("victim", "pages"),
    ]
    assert measured.domains[2].digests is None


def test_a_pager_that_was_expected_to_fail_leaves_the_builds_alone(measure, monkeypatch):
    monkeypatch.setattr(FakeLoops, "failure", WorkloadFailed("victim: SIGBUS"))
    measured = measure([RIGHT], expect="WORKLOAD_FAILED", victim=True)
    assert str(measured.error) == "victim: SIGBUS"
    assert len(measured.faults) == 5, "all have struck"
    names = [event for event, _ in measured.events]
    assert names.count("pages-failed") == 1
    assert names.count("build") == measured.builds == len(FakeCompile.made[0].begun)
    assert measured.problems == []


def test_a_pager_that_fails_ends_a_variant_that_should_not(measure, monkeypatch):
    monkeypatch.setattr(FakeLoops, "failure", WorkloadFailed("victim: SIGBUS"))
    measured = measure([RIGHT], victim=True)
    assert str(measured.error) == "victim: SIGBUS"
    assert measured.builds == 0
