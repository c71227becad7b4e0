"""The schedule of faults follows from the file alone."""

from __future__ import annotations

import pytest

from orchestrator.experiment import Fault
from orchestrator.faults import schedule

KILL = Fault(kind="kill-store", count=400, mean_gap_seconds=20)
FREEZE = Fault(kind="freeze-store", count=200, mean_gap_seconds=10, seconds=(1, 5))
DESTROY = Fault(kind="destroy-domain", count=3, domain="victim")


def test_the_same_file_strikes_in_the_same_way():
    assert schedule(1, "rough", [KILL, FREEZE]) == schedule(1, "rough", [KILL, FREEZE])


def test_it_does_not_change_from_one_version_to_the_next():
    few = schedule(7, "rough", [FREEZE.model_copy(update={"count": 2})])
    assert [(s.kind, s.number) for s in few] == [("freeze-store", 1), ("freeze-store", 2)]
    assert [round(s.gap_seconds, 3) for s in few] == [17.897, 2.98]
    assert [round(s.seconds, 3) for s in few] == [2.84, 2.442]


@pytest.mark.parametrize("other", [(2, "rough"), (1, "calm")])
def test_another_seed_or_variant_strikes_otherwise(other):
    assert schedule(1, "rough", [KILL]) != schedule(*other, [KILL])


def test_each_kind_strikes_as_often_as_asked_and_is_counted():
    strikes = schedule(1, "rough", [KILL, FREEZE, DESTROY])
    for fault in (KILL, FREEZE, DESTROY):
        numbers = [strike.number for strike in strikes if strike.kind == fault.kind]
        assert numbers == list(range(1, fault.count + 1))
    assert {s.domain for s in strikes if s.kind == "destroy-domain"} == {"victim"}


def test_gaps_have_their_mean_and_are_never_negative():
    gaps = [strike.gap_seconds for strike in schedule(1, "rough", [KILL])]
    assert min(gaps) >= 0
    assert sum(gaps) / len(gaps) == pytest.approx(20, rel=0.2)
    below = sum(gap < 20 for gap in gaps) / len(gaps)
    assert below == pytest.approx(1 - 1 / 2.718, abs=0.08), "exponential"


def test_only_a_frozen_store_has_a_length_and_it_lies_between_the_bounds():
    for strike in schedule(1, "rough", [KILL, FREEZE, DESTROY]):
        if strike.kind == "freeze-store":
            assert 1 <= strike.seconds <= 5
        else:
            assert strike.seconds is None


def test_a_second_kind_does_not_change_when_the_first_one_strikes():
    def moments(faults):
        now, found = 0.0, []
        for strike in schedule(1, "rough", faults):
            now += strike.gap_seconds
            if strike.kind == "kill-store":
                found.append(now)
        return found

    assert moments([KILL, FREEZE]) == pytest.approx(moments([KILL]))


def test_nothing_asked_nothing_struck():
    assert schedule(1, "calm", []) == []
