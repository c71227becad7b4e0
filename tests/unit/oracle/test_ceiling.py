"""No sharer saves more than the ceiling, and one that knows the classes reaches it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.oracle import ceiling
from orchestrator.oracle.ceiling import most_saved

PAGES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(16, 4096)), max_size=30
)


def columns(pages):
    return [list(column) for column in zip(*pages, strict=True)] if pages else [[], [], []]


def test_one_payload_of_each_class_is_kept():
    assert most_saved("aab", [100, 90, 50]) == 100
    assert most_saved("abc", [100, 90, 50]) == 0
    assert most_saved("", []) == 0


def test_inside_domains_first_then_between_them():
    found = ceiling([0, 0, 1, 1], [7, 7, 7, 8], [100, 100, 100, 60])
    assert (found.within_bytes, found.between_bytes, found.total_bytes) == (100, 100, 200)


@given(PAGES)
def test_an_exact_sharer_saves_what_the_ceiling_says_and_no_more(pages):
    """A store that keeps each class's first payload, where equal pages are equally long."""
    length_of: dict[int, int] = {}
    alike = [(domain, name, length_of.setdefault(name, size)) for domain, name, size in pages]
    kept: dict[int, int] = {}
    saved = 0
    for _, name, length in alike:
        saved += length if name in kept else 0
        kept.setdefault(name, length)
    assert ceiling(*columns(alike)).total_bytes == saved


@given(PAGES, st.data())
def test_whatever_a_sharer_keeps_of_a_class_it_saves_no_more(pages, data):
    domains, classes, lengths = columns(pages)
    kept = {
        name: data.draw(st.sampled_from([i for i, n in enumerate(classes) if n == name]))
        for name in set(classes)
    }
    saved = sum(lengths) - sum(lengths[index] for index in kept.values())
    assert saved <= ceiling(domains, classes, lengths).total_bytes


@given(PAGES, st.dictionaries(st.integers(0, 5), st.integers(0, 2)))
def test_coarser_classes_and_more_pages_never_lower_it(pages, joined):
    domains, classes, lengths = columns(pages)
    coarse = [joined.get(name, name) for name in classes]
    fine, most = ceiling(domains, classes, lengths), ceiling(domains, coarse, lengths)
    assert most.total_bytes >= fine.total_bytes
    assert most.within_bytes >= fine.within_bytes
    fewer = ceiling(domains[1:], classes[1:], lengths[1:])
    assert fewer.total_bytes <= fine.total_bytes
    assert min(fine.within_bytes, fine.between_bytes) >= 0
