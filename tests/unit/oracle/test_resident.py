"""Pages of memory that was saved: those that are not zero, and what is equal among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.oracle import look_at_memory
from orchestrator.oracle.classes import exact_digests
from tests.unit.oracle.planted import PAGE, page, stacked


def test_zero_pages_are_left_out_and_classes_span_files(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(page(1) + bytes(PAGE) + page(2) + page(1, shift=9))
    other.write_bytes(bytes(3 * PAGE) + page(1) + page(3))
    found = look_at_memory([one, other], exact_digests(stacked([page(1), page(4)])))
    assert found.pages == 5
    assert found.exact == {1: 3, 2: 1}
    assert found.pointers == {1: 2, 3: 1}
    assert found.equal_to_swapped == 2


def test_nothing_is_found_in_nothing(tmp_path):
    empty, zeros = tmp_path / "empty", tmp_path / "zeros"
    empty.write_bytes(b"")
    zeros.write_bytes(bytes(2 * PAGE))
    found = look_at_memory([empty, zeros], [])
    assert (found.pages, found.exact, found.pointers) == (0, {}, {})


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=20))
def test_sizes_of_classes_sum_up_to_the_pages(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("memory") / "file"
    pages = [page(seed, shift=shift) if seed else bytes(PAGE) for seed, shift in drawn]
    path.write_bytes(b"".join(pages))
    found = look_at_memory([path], [])
    wanted = [one for one in pages if any(one)]
    assert found.pages == len(wanted)
    for sizes in (found.exact, found.pointers):
        assert sum(size * count for size, count in sizes.items()) == found.pages
    assert sum(found.exact.values()) == len(set(wanted))
    assert sum(found.pointers.values()) == len({seed for seed, _ in drawn if seed})
