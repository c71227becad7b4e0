"""Pages that differ in their pointers only, by both implementations."""

from __future__ import annotations

import functools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.store.secondlook.pointers import USER_RANGES, is_pointer, mask
from testbed.store.secondlook.shifts import Unshiftable
from testbed.store.secondlook.twins import NativeTwins, PythonTwins, Twins
from tests.unit.store.secondlook.pages import process_page
from tests.unit.store.support import native_folder


@functools.cache
def twins(name: str) -> Twins:
    return PythonTwins() if name == "python" else NativeTwins(library())


def library():
    return native_folder() / "libpageshare_ring.so"


both = pytest.mark.parametrize("name", ["python", "native"])


@pytest.mark.parametrize(("first", "end"), USER_RANGES)
def test_a_pointer_lies_where_a_process_may_be(first, end):
    assert is_pointer(first)
    assert is_pointer(end - 1)
    assert not is_pointer(first - 1)
    assert not is_pointer(end)


@pytest.mark.parametrize("number", [0, 1, 4096, (4 << 20) - 1, 1 << 32, 1 << 48, (1 << 64) - 1])
def test_small_numbers_and_kernel_addresses_are_none(number):
    assert not is_pointer(number)


@both
def test_processes_that_were_moved_are_twins(name):
    page = process_page(1)
    moved = process_page(1, {"heap": 77, "mappings": -1234, "stack": 5, "program": 3})
    other = process_page(2)
    assert page != moved
    assert twins(name).mask(page, 9) == twins(name).mask(moved, 9)
    assert twins(name).mask(page, 9).pointers == 200
    assert twins(name).mask(page, 9) != twins(name).mask(page, 8)
    assert twins(name).mask(page, 9).digest != twins(name).mask(other, 9).digest


@both
def test_the_difference_of_twins_is_a_run_for_each_part_that_moved(name):
    page = process_page(1)
    moved = process_page(1, {"heap": 77, "mappings": -1234, "stack": 5, "program": 77})
    runs = twins(name).runs(page, moved, 4096)
    assert runs is not None
    assert len(runs) < 4 * 6
    assert twins(name).shifted(page, runs) == moved
    assert twins(name).runs(page, moved, 3) is None


@both
def test_pages_that_differ_in_more_have_no_runs(name):
    page = process_page(1)
    assert twins(name).runs(page, page[:-1] + b"\1", 4096) is None
    assert twins(name).runs(process_page(1), process_page(3), 4096) is None


@both
@pytest.mark.parametrize(
    "runs",
    [
        b"",
        b"\x05",
        b"\x80",
        b"\x7f\x00\x7f\x00",
        b"\xff" * 12,
        b"\xc8\x01\x00\x01\x00",
        b"\xc8\x01",
    ],
)
def test_runs_of_another_base_are_refused(name, runs):
    with pytest.raises(Unshiftable):
        twins(name).shifted(process_page(1), runs)


words = st.one_of(
    st.sampled_from([word for pair in USER_RANGES for word in pair]),
    st.builds(
        lambda pair, by: min(pair[0] + by, pair[1] - 1),
        st.sampled_from(USER_RANGES),
        st.integers(0, 1 << 33),
    ),
    st.integers(0, (1 << 64) - 1),
    st.just(0),
)


@given(st.lists(words, min_size=1, max_size=64), st.data())
def test_both_agree_on_any_page_and_its_twin_comes_back(some, data):
    base = struct.pack("<512Q", *(some * 512)[:512])
    changed = list((some * 512)[:512])
    for at in data.draw(st.lists(st.integers(0, 511), max_size=40)):
        if is_pointer(changed[at]):
            other = data.draw(words.filter(is_pointer))
            changed[at] = other & ~0xFFF | changed[at] & 0xFFF
    page = struct.pack("<512Q", *changed)
    python, native = twins("python"), twins("native")
    assert python.mask(page, 3) == native.mask(page, 3)
    runs = python.runs(base, page, 4096)
    if runs is not None and len(runs) < 4000:
        assert mask(base) == mask(page)
        assert native.runs(base, page, 4096) == runs
        assert python.shifted(base, runs) == native.shifted(base, runs) == page


@both
def test_what_resembles_a_page_is_made_of_a_base_that_differs_in_more(name):
    moved = {"heap": 77, "mappings": -1234, "stack": 5, "program": 77}
    base, page = process_page(1), process_page(1, moved)
    changed = page[:800] + b"something else altogether" + page[825:]
    runs = twins(name).likely_runs(base, changed)
    like = twins(name).shifted(base, runs)
    same = sum(like[at : at + 8] == page[at : at + 8] for at in range(0, 4096, 8))
    assert same > 450  # stack and mappings lie in one part and moved apart
    seeds = range(4)  # one of them alone may meet the block that has changed
    features = [[twins(name).feature(one, seed) for seed in seeds] for one in (base, changed)]
    assert any(one == other for one, other in zip(*features, strict=True))
    assert {twins(name).feature(process_page(2), seed) for seed in seeds}.isdisjoint(features[0])


@both
def test_an_empty_page_has_no_feature(name):
    assert twins(name).feature(bytes(4096), 3) == 0
    assert twins(name).likely_runs(bytes(4096), process_page(1)) == b""


@given(st.lists(words, min_size=1, max_size=64), st.lists(words, min_size=1, max_size=64))
def test_both_agree_on_what_resembles_what(some, others):
    base = struct.pack("<512Q", *(some * 512)[:512])
    page = struct.pack("<512Q", *(others * 512)[:512])
    python, native = twins("python"), twins("native")
    assert python.feature(base, 7) == native.feature(base, 7)
    runs = python.likely_runs(base, page)
    assert len(runs) <= 100
    assert native.likely_runs(base, page) == runs
    assert python.shifted(base, runs) == native.shifted(base, runs)


@given(st.binary(max_size=40))
def test_both_refuse_the_same_runs(runs):
    base = process_page(4, pointers=9)
    outcomes = []
    for name in ("python", "native"):
        try:
            outcomes.append(twins(name).shifted(base, runs))
        except Unshiftable:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
