"""Figures from MARKs: the parts add up, and each means what its name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.metrics import check_books, coverage_at, decompose, find_peak, swap_in_use
from tests.unit.results.synthetic import LENGTH, mark, parsed


def test_each_part_is_what_its_name_says():
    parts = decompose(parsed(mark(1, pages=(900, 1100), same=(200, 240), within=50, between=300)))
    logical = 2000 * 4096
    assert parts.logical_bytes == logical
    assert parts.same_filled == pytest.approx(440 * 4096 / logical)
    assert parts.compression == pytest.approx(1560 * (4096 - LENGTH) / logical)
    assert parts.sharing_within == pytest.approx(100 * LENGTH / logical)
    assert parts.sharing_between == pytest.approx(300 * LENGTH / logical)
    assert parts.reduction == pytest.approx(1 - 1160 * LENGTH / logical)
    assert parts.net_reduction == pytest.approx(1 - parts.footprint_bytes / logical)
    assert parts.footprint_bytes == 1160 * (LENGTH + 64) + 2 * 1_200_000


def test_what_the_second_look_saves_is_told_form_by_form():
    record = mark(1, pages=(900, 1100), same=(200, 240), within=50, between=300)
    record["table"]["forms"] = {
        "twin": {"entries": 400, "received_bytes": 400 * LENGTH, "kept_bytes": 400 * 24},
        "near_twin": {"entries": 90, "received_bytes": 90 * LENGTH, "kept_bytes": 9000},
        "recompressed": {"entries": 10, "received_bytes": 10 * LENGTH, "kept_bytes": 3000},
    }
    saved = 500 * LENGTH - 400 * 24 - 9000 - 3000
    for place in ("table", "books"):
        for name in ("payload_bytes", "table_bytes", "arena_bytes"):
            if name in record[place]:
                record[place][name] -= saved
    parts = decompose(parsed(record))
    assert parts.sharing_between == pytest.approx(300 * LENGTH / parts.logical_bytes)
    assert parts.twins == pytest.approx(400 * (LENGTH - 24) / parts.logical_bytes)
    assert parts.near_twins == pytest.approx((90 * LENGTH - 9000) / parts.logical_bytes)
    assert parts.recompression == pytest.approx((10 * LENGTH - 3000) / parts.logical_bytes)
    assert parts.reduction == pytest.approx(
        parts.same_filled
        + parts.compression
        + parts.sharing_within
        + parts.sharing_between
        + parts.twins
        + parts.near_twins
        + parts.recompression
    )


counts = st.integers(0, 5000)


@given(pages=st.tuples(counts, counts), data=st.data())
def test_the_parts_always_add_up(pages, data):
    same = tuple(data.draw(st.integers(0, count)) for count in pages)
    held = [count - alike for count, alike in zip(pages, same, strict=True)]
    within = data.draw(st.integers(0, min(held)))
    between = data.draw(st.integers(0, min(held) - within))
    record = mark(0, pages=pages, same=same, within=within, between=between)
    parts = decompose(parsed(record))
    if sum(pages) == 0:
        assert parts.reduction is None
        assert parts.same_filled is None
        assert parts.net_reduction is None
        return
    total = parts.same_filled + parts.compression + parts.sharing_within + parts.sharing_between
    assert total == pytest.approx(parts.reduction)
    assert parts.net_reduction <= parts.reduction


def test_the_peak_is_of_the_sum_and_the_first_of_equals():
    every = [(1000, 400), (800, 900), (900, 800), (200, 1200)]
    marks = [
        parsed(mark(index, pages=pages, same=(0, 0), within=0, between=0))
        for index, pages in enumerate(every)
    ]
    assert find_peak(marks).sequence == 1
    assert find_peak([]) is None


def test_coverage_compares_figures_of_one_moment():
    # domU1 grew after its MARK: the store sees its new references at domU2's
    # MARK, but knows its swap slots only from before.
    before = parsed(mark(4, domain="domU1", pages=(600, 1000)))
    peak = parsed(
        mark(
            5,
            domain="domU2",
            pages=(900, 1100),
            overrides={"domains.domU1.swap_slots_used": 660},
        )
    )
    later = parsed(mark(6, domain="domU1", pages=(1, 1), same=(0, 0), within=0, between=0))
    slots = swap_in_use(peak, [before, peak, later])
    assert slots == {"domU1": (600, 660), "domU2": (1100, 1160)}
    assert coverage_at(peak, [before, peak, later]) == pytest.approx(1700 / 1820)


def test_coverage_without_a_mark_of_a_domain_uses_the_stores_copy():
    peak = parsed(mark(5, domain="domU2", pages=(900, 1100)))
    assert coverage_at(peak, [peak]) == pytest.approx(2000 / 2120)


def test_nothing_swapped_has_no_coverage():
    nothing = mark(
        0,
        pages=(0, 0),
        same=(0, 0),
        within=0,
        between=0,
        overrides={
            "counters.swap_slots_used": 0,
            "domains.domU1.swap_slots_used": 0,
            "domains.domU2.swap_slots_used": 0,
        },
    )
    assert coverage_at(parsed(nothing), []) is None


def test_books_close_exactly_or_not_at_all():
    good = parsed(mark(0))
    assert check_books([good]).closed is True
    assert check_books([]).closed is None
    for wrong in ("books.held_pages", "books.references", "books.table_bytes", "books.arena_bytes"):
        record = mark(1)
        value = record["books"][wrong.split(".")[1]] + 1
        open_books = parsed(mark(1, overrides={wrong: value}))
        check = check_books([good, open_books, parsed(mark(2, overrides={wrong: value}))])
        assert check.closed is False, "whatever the store's flag says"
        assert check.first_open is open_books
    assert check_books([parsed(mark(1, overrides={"books.closed": False}))]).closed is False


def test_a_domu_that_has_not_told_yet_leaves_figures_null_but_the_parts_add_up():
    record = mark(
        0,
        domain="domU1",
        pages=(900, 100),
        same=(200, 0),
        overrides={
            "domains.domU2.same_filled_pages": None,
            "domains.domU2.frontend_bytes": None,
            "domains.domU2.swap_slots_used": None,
        },
        within=10,
        between=20,
    )
    peak = parsed(record)
    parts = decompose(peak)
    total = parts.same_filled + parts.compression + parts.sharing_within + parts.sharing_between
    assert total == pytest.approx(parts.reduction)
    assert parts.frontend_bytes is None
    assert parts.footprint_bytes is None
    assert parts.net_reduction is None
    assert coverage_at(peak, [peak]) is None


def test_a_store_that_began_anew_numbers_its_marks_again():
    old = parsed(mark(500, at=1.0, domain="domU1", pages=(800, 800)))
    early = parsed(mark(3, at=2.0, domain="domU1", pages=(600, 900)))
    peak = parsed(mark(4, at=3.0, domain="domU2", pages=(700, 1100)))
    later = parsed(mark(5, at=4.0, domain="domU1", pages=(1, 1), same=(0, 0), within=0, between=0))
    slots = swap_in_use(peak, [old, early, peak, later])
    assert slots == {"domU1": (600, 660), "domU2": (1100, 1160)}


def test_marks_of_an_earlier_machine_do_not_count():
    before = parsed(mark(2, at=50.0, domain="domU1", pages=(600, 600)))
    peak = parsed(mark(4, at=3.0, domain="domU2", pages=(700, 1100)))
    assert swap_in_use(peak, [before, peak])["domU1"] == (700, 760), "the store's own copy"


def test_a_frontend_may_have_more_counters():
    more = {"counters.loads_in_flight": 3, "counters.reconnects": 2, "counters.resent": 17}
    counters = parsed(mark(0, overrides=more)).counters
    assert (counters["reconnects"], counters["resent"]) == (2, 17)
