"""When the oracle looks, what its look takes off the clocks, and what it makes of it."""

from __future__ import annotations

import contextlib
import threading
import time
from types import SimpleNamespace

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.experiment import Oracle
from orchestrator.machine import Held
from orchestrator.metrics.series import LOOK_BEGAN, LOOK_ENDED, STARTED
from orchestrator.results.oracle import oracle_figures, oracle_problems
from orchestrator.runner.oracle_look import Moment, OracleLook
from orchestrator.workloads import JobResult
from testbed.still.files import copy_files
from testbed.store.domain import Domain, pack_key
from testbed.store.figures import table_figures
from testbed.store.protocol import Encoding
from testbed.store.state import Life, State
from testbed.store.table import SharingTable
from tests.unit.oracle.planted import PAGE, compressed, page
from tests.unit.results.synthetic import mark, parsed

ALL_DIFFERENT = {"same": (0, 0), "within": 0, "between": 0}


def marks(*logical, step=0.5):
    return [
        parsed(mark(n, at=n * step, pages=(pages // 2, pages - pages // 2), **ALL_DIFFERENT))
        for n, pages in enumerate(logical)
    ]


def first(moment, seen):
    return next((one.sequence for one in seen if moment.has_come(one)), None)


def test_a_given_second_is_counted_by_dom0_from_the_first_mark():
    assert first(Moment(2.0), marks(*range(100, 110))) == 4
    assert first(Moment(60.0), marks(*range(100, 110))) is None


def test_by_itself_it_looks_at_peaks_that_lie_well_above_the_last_one():
    moment = Moment(None)
    few = [100, 900, 20, 900, 900]
    rising = [1500, 3000, 2900, 3100, 4000]  # never a second without a new highest
    top = [3990, 3980, 3970, 3960]
    little_more = [5900, 5900, 5900, 5900]
    much_more = [6300, 6200, 6100, 100]
    seen = marks(*few, *rising, *top, *little_more, *much_more)
    looked = [one.sequence for one in seen if moment.has_come(one)]
    assert [seen[sequence].logical_pages for sequence in looked] == [3980, 6100]
    assert not moment.over


def test_it_is_over_once_it_has_looked_when_the_file_says():
    moment = Moment(1.0)
    assert [moment.has_come(one) for one in marks(5, 5, 5)] == [False, False, True]
    assert moment.over


class Collector:
    def __init__(self):
        self.latest, self.notes, self.still = None, [], False

    def note(self, note):
        self.notes.append(note)

    def check(self):
        pass

    @contextlib.contextmanager
    def standing_still(self):
        self.still = True
        yield
        self.still = False


class Stillness:
    """Holds what a real store holds: twins that differ in pointers, of two domains."""

    def __init__(self, folder, collector):
        self.folder, self.collector = folder, collector
        self.failure = None
        self.state = State(4 << 20, ["all"], folder / "state")
        self.table = SharingTable(self.state)
        self.domains, self.books = [], {}
        for domid, name in enumerate(("domU1", "domU2"), start=3):
            rows = self.state.make_rows(Life(domid, domid), 0)
            books = Domain(name, Life(domid, domid), self.table, rows, 4 << 20)
            for slot in range(1, 21):
                payload = compressed(page(slot % 10, shift=100 * domid))
                books.store(pack_key(0, slot), slot, Encoding.LZ4, payload)
            description = SimpleNamespace(memory_mib=64)
            self.domains.append(SimpleNamespace(name=name, domid=domid, description=description))
            self.books[name] = books

    def hold(self, deadline, *, memory):
        assert self.collector.still
        if self.failure:
            raise InfrastructureError(self.failure)
        paths = []
        if memory:
            paths = [self.folder / "memory"]
            paths[0].write_bytes(page(1, shift=300) + bytes(PAGE) + page(55) + page(55))
        swap = self.folder / "swap"
        swap.write_bytes(bytes(25 * PAGE) + page(7, shift=300))
        counters = {"held_pages": 20, "same_filled_pages": 5, "swap_slots_used": 26}
        return Held(
            dom0_seconds=112.25,
            stats={
                "table": table_figures(self.table, {"arena": 0}),
                "domains": {
                    name: {"references": len(books), "charged_bytes": books.charged_bytes}
                    for name, books in self.books.items()
                },
            },
            marks=dict.fromkeys(self.books, counters),
            paused_seconds={"domU1": 1.5, "domU2": 1.25},
            stopped_seconds=2.0,
            memory=paths,
            disks={"domU1": swap},
        )

    def fetch(self, deadline):
        copy = self.folder / "copy"
        copy_files(self.folder / "state", copy)
        return copy


@pytest.fixture
def look(tmp_path):
    collector = Collector()
    return OracleLook(
        wanted=Oracle(at_seconds=1.0),
        variant="default",
        compressor="lz4",
        stillness=Stillness(tmp_path, collector),
        deadline=Deadline.after(30),
        log=lambda _: None,
    )


def watch(look, seen, *, until=lambda: True):
    collector = look.stillness.collector
    with look.watching(collector) as watcher:
        watcher.note(STARTED)
        for one in seen:
            collector.latest = one
            time.sleep(0.25)
        end = time.monotonic() + 5
        while not until() and time.monotonic() < end:
            time.sleep(0.01)


def test_what_it_sees_follows_from_what_was_planted(look):
    watch(look, marks(2000, 2000, 2000), until=lambda: look.missing is None)
    assert look.missing is None
    assert look.stillness.collector.notes == [STARTED, LOOK_BEGAN, LOOK_ENDED]
    seen = look.result(Deadline.after(30))
    assert list(oracle_problems(seen)) == []
    assert (seen.variant, seen.chosen, seen.seconds) == ("default", "at_seconds", 12.25)
    figures = oracle_figures(seen)
    assert (figures.held_pages, figures.same_filled_pages) == (40, 10)
    assert (figures.disk_pages, figures.disk_pages_seen) == (2, 1)
    assert figures.coverage == pytest.approx(41 / 42)
    assert figures.exact.efficiency < 1, "the store cannot share with the swap disk"
    assert figures.exact.least_bytes == figures.saved_bytes > 0
    assert figures.exact.between_bytes == 0
    assert figures.pointers.between_bytes > 0
    assert figures.pointers.efficiency < figures.exact.efficiency
    assert figures.reduction == figures.exact.reduction < figures.pointers.reduction
    assert figures.resident.pages == 3
    assert figures.resident.exact_bytes == figures.resident.pointer_bytes == PAGE
    assert figures.resident.equal_to_swapped == 1
    assert figures.paused_seconds == 1.5


def test_memory_is_null_where_it_was_not_looked_at(look):
    look.wanted = Oracle(at_seconds=1.0, resident=False)
    watch(look, marks(2000, 2000, 2000), until=lambda: look.missing is None)
    seen = look.result(Deadline.after(30))
    assert seen.memory is None
    assert oracle_figures(seen).resident is None


def test_the_time_for_which_a_domain_stood_is_taken_off_if_it_built_then(look):
    watch(look, marks(2000, 2000, 2000), until=lambda: look.missing is None)
    late = JobResult(0, 90.0, 100.0, {}, "")
    assert look.undisturbed("domU1", late) == JobResult(0, 88.5, 96.5, {}, "")
    assert look.undisturbed("domU2", late) == JobResult(0, 88.75, 96.75, {}, "")
    early = JobResult(0, 0.1, 0.1, {}, "")
    assert look.undisturbed("domU1", early) == early


def test_a_second_look_takes_the_place_of_the_first_and_both_are_taken_off(look):
    look.wanted = Oracle()
    pages = [2000] * 4 + [3100] * 4
    watch(look, marks(*pages), until=lambda: len(look._pauses) == 2)
    seen = look.result(Deadline.after(30))
    assert (seen.chosen, seen.looks, seen.stopped_seconds) == ("peak", 2, 4.0)
    assert seen.domains[0].paused_seconds == 3.0
    late = JobResult(0, 90.0, 100.0, {}, "")
    assert look.undisturbed("domU1", late) == JobResult(0, 87.0, 93.0, {}, "")


def test_a_second_look_that_fails_leaves_nothing(look):
    look.wanted = Oracle()
    pages = [2000] * 4 + [3100] * 4
    held = look.stillness.hold

    def hold(deadline, *, memory):
        found = held(deadline, memory=memory)
        look.stillness.failure = "dom0 cannot"
        return found

    look.stillness.hold = hold
    watch(look, marks(*pages), until=lambda: "dom0 cannot" in (look.missing or ""))
    assert look.result(Deadline.after(1)) is None


def test_a_workload_that_ends_before_is_not_disturbed(look):
    watch(look, marks(2000, 2000)[:1])
    assert look.result(Deadline.after(1)) is None
    assert look.missing == "the workload ended before it was time to look"
    result = JobResult(0, 90.0, 100.0, {}, "")
    assert look.undisturbed("domU1", result) == result


def test_why_it_could_not_look_is_kept_and_the_workload_goes_on(look):
    look.stillness.failure = "dom0 cannot"
    watch(look, marks(2000, 2000, 2000), until=lambda: "dom0 cannot" in look.missing)
    assert look.result(Deadline.after(1)) is None
    assert look.missing == "dom0 cannot; the domUs' times may include what was tried"
    assert not look.asking().locked()


def test_a_copy_that_cannot_be_read_is_told(look, monkeypatch):
    watch(look, marks(2000, 2000, 2000), until=lambda: look.missing is None)
    (look.stillness.folder / "state" / "header").write_text("{}")
    assert look.result(Deadline.after(30)) is None
    assert "no header" in look.missing


def test_nobody_is_asked_anything_meanwhile(look, monkeypatch):
    asked, held = threading.Event(), look.stillness.hold

    def hold(deadline, *, memory):
        assert look.asking().locked()
        asked.set()
        return held(deadline, memory=memory)

    monkeypatch.setattr(look.stillness, "hold", hold)
    watch(look, marks(2000, 2000, 2000), until=asked.is_set)
    assert asked.is_set()
