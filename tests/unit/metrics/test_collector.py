"""The collector polls, keeps what it saw, and says what it missed."""

from __future__ import annotations

import json
import threading
import time

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.metrics import Collector, GapKind
from orchestrator.metrics.samples import Dom0Memory, MachineMemory
from tests.unit.results.synthetic import mark


class Source:
    """A stand-in for QMP."""

    def __init__(self):
        self.pending = ""
        self.lock = threading.Lock()
        self.broken = False

    def write(self, *sequences):
        with self.lock:
            self.pending += "".join(json.dumps(mark(n)) + "\n" for n in sequences)

    def ringbuf_read(self, name):
        assert name == "pageshare.stats"
        if self.broken:
            raise OSError("no answer")
        with self.lock:
            text, self.pending = self.pending, ""
        return text

    def balloon_stats(self):
        return {"total-memory": 2**29, "available-memory": None, "last-update": 17}

    def memory_summary(self):
        return {"base-memory": 2**31}


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def source():
    return Source()


def test_samples_are_kept_and_handed_on(source):
    written = []
    collector = Collector(source, written.append, samples_per_second=100)
    source.write(1, 2)
    collector.start("default")
    source.write(3)
    wait_for(lambda: collector.latest is not None)
    collector.note("workload-started")
    source.write(4)
    taken = collector.stop()
    assert [record.sequence for record in taken.marks] == [3, 4], "older ones are thrown away"
    assert taken.samples == written
    assert all(sample.variant == "default" for sample in written)
    assert taken.noted("workload-started") is not None
    first = written[0]
    assert first.machine == MachineMemory(base_bytes=2**31, plugged_bytes=None)
    assert first.dom0.total_bytes == 2**29
    assert first.dom0.available_bytes is None, "a missing figure is null"
    assert taken.gaps == []


def test_it_can_start_again_for_the_next_variant(source):
    collector = Collector(source, lambda sample: None, samples_per_second=100)
    collector.start("default")
    collector.stop()
    source.write(9)
    collector.start("off")
    source.write(10)
    taken = collector.stop()
    assert taken.variant == "off"
    assert [record.sequence for record in taken.marks] == [10]


def test_a_line_that_had_begun_before_the_start_is_completed(source):
    collector = Collector(source, lambda sample: None, samples_per_second=100)
    line = json.dumps(mark(5)) + "\n"
    source.pending = json.dumps(mark(4)) + "\n" + line[:300]
    collector.start("default")
    source.pending += line[300:]
    taken = collector.stop()
    assert [record.sequence for record in taken.marks] == [5]
    assert taken.gaps == []


def test_a_note_never_waits_for_records(source):
    collector = Collector(source, lambda sample: None, samples_per_second=1)
    collector.start("default")
    for note in ("one", "two", "three"):
        collector.note(note)
    taken = collector.stop()
    assert [sample.note for sample in taken.samples if sample.note] == ["one", "two", "three"]


def test_silence_is_a_gap(source):
    collector = Collector(
        source, lambda sample: None, samples_per_second=100, longest_gap_seconds=0.05
    )
    collector.start("default")
    time.sleep(0.3)
    taken = collector.stop()
    assert GapKind.SILENT in {gap.kind for gap in taken.gaps}


def test_a_slow_monitor_is_another_gap_than_a_silent_store(source):
    collector = Collector(
        source, lambda sample: None, samples_per_second=100, longest_gap_seconds=0.2
    )
    answer = source.memory_summary
    source.memory_summary = lambda: (time.sleep(0.5), answer())[1]
    collector.start("default")
    wait_for(lambda: collector._poll.taken.samples)
    source.memory_summary = answer
    source.write(1)
    taken = collector.stop()
    assert {gap.kind for gap in taken.gaps} == {GapKind.LATE}


def test_a_failed_poll_is_a_gap_and_sampling_goes_on(source):
    collector = Collector(source, lambda sample: None, samples_per_second=100)
    collector.start("default")
    source.broken = True
    wait_for(lambda: any(sample.gaps for sample in collector._poll.taken.samples))
    source.broken = False
    source.write(1)
    wait_for(lambda: collector.latest is not None)
    collector.check()
    taken = collector.stop()
    assert {gap.kind for gap in taken.gaps} == {GapKind.SOURCE}
    failed = next(sample for sample in taken.samples if sample.gaps)
    assert failed.machine is not None, "the other sources were still asked"


def test_sampling_that_ended_by_itself_is_heard_of(source):
    collector = Collector(source, lambda sample: None, samples_per_second=1000)
    collector.start("default")
    source.broken = True
    wait_for(lambda: not collector._thread.is_alive())
    with pytest.raises(InfrastructureError, match="no answer"):
        collector.check()
    collector.stop()


def test_a_sample_that_cannot_be_written_is_heard_of(source):
    def full(sample):
        raise OSError("no space left")

    collector = Collector(source, full, samples_per_second=100)
    collector.start("default")
    wait_for(lambda: not collector._thread.is_alive())
    with pytest.raises(InfrastructureError, match="no space left"):
        collector.check()


def test_wrong_order_of_calls(source):
    collector = Collector(source, lambda sample: None)
    with pytest.raises(InfrastructureError):
        collector.stop()
    source.broken = True
    with pytest.raises(InfrastructureError, match="no answer"):
        collector.start("default")


def test_memory_that_was_never_told_is_null():
    never = 2**64 - 1
    reply = {"stats": {"stat-total-memory": 5, "stat-free-memory": never}, "last-update": 0}
    memory = Dom0Memory.of(reply)
    assert (memory.total_bytes, memory.free_bytes, memory.swap_in_bytes) == (5, None, None)
    assert memory.updated_at is None


def test_a_machine_that_is_held_still_on_purpose_makes_no_gap(source):
    collector = Collector(
        source, lambda sample: None, samples_per_second=100, longest_gap_seconds=0.1
    )
    collector.start("default")
    with collector.standing_still():
        time.sleep(0.4)
    source.write(1)
    wait_for(lambda: collector.latest is not None)
    taken = collector.stop()
    assert [gap.kind for gap in taken.gaps if gap.kind is not GapKind.RESTARTED] == []
