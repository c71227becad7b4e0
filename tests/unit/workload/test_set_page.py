"""What the pages of a working set hold: equal where promised, and nowhere else."""

from __future__ import annotations

import ctypes
from collections import Counter
from itertools import pairwise

import lz4.block
import pytest
from hypothesis import given
from hypothesis import strategies as st

PAGE = 4096
WORDS = PAGE // 8
ZERO, EQUAL, SIMILAR, TEXT, RANDOM = range(5)
WRITTEN = (EQUAL, SIMILAR, TEXT)

numbers = st.integers(0, (1 << 24) - 1)
seeds = st.integers(0, (1 << 64) - 1)
versions = st.integers(0, 1000)
domains = st.integers(0, 65535)
kinds = st.sampled_from(range(5))


class Contents(ctypes.Structure):
    """``struct set_contents``."""

    _fields_ = (
        ("seed", ctypes.c_uint64),
        ("domain", ctypes.c_uint64),
        ("similar_words", ctypes.c_uint32),
    )


@pytest.fixture(scope="module")
def page(pages):
    """The bytes of a page."""

    def page(kind, seed=1, domain=0, number=0, version=0, words=8) -> bytes:
        buffer = (ctypes.c_uint64 * WORDS)()
        contents = Contents(seed, domain, words)
        pages.make_set_page(
            buffer, ctypes.byref(contents), kind, ctypes.c_uint64(number), ctypes.c_uint32(version)
        )
        return bytes(buffer)

    return page


def words_of(page: bytes) -> list[bytes]:
    return [page[at : at + 8] for at in range(0, PAGE, 8)]


def differing_words(one: bytes, other: bytes) -> list[int]:
    both = zip(words_of(one), words_of(other), strict=True)
    return [at for at, (mine, theirs) in enumerate(both) if mine != theirs]


@given(seed=seeds, number=numbers, version=versions, one=domains, other=domains)
def test_equal_pages_are_equal_in_every_domain(page, seed, number, version, one, other):
    assert page(EQUAL, seed, one, number, version) == page(EQUAL, seed, other, number, version)


@given(
    seed=seeds,
    number=numbers,
    version=versions,
    two=st.lists(domains, min_size=2, max_size=2, unique=True),
    count=st.integers(1, 64),
)
def test_similar_pages_differ_in_exactly_the_promised_words(
    page, pages, seed, number, version, two, count
):
    one, other = (page(SIMILAR, seed, domain, number, version, count) for domain in two)
    contents = Contents(seed, two[0], count)
    promised = [
        pages.similar_word(
            ctypes.byref(contents), ctypes.c_uint64(number), ctypes.c_uint32(version), i
        )
        for i in range(count)
    ]
    assert differing_words(one, other) == sorted(promised)
    assert len(set(promised)) == count


@given(seed=seeds, number=numbers, version=versions)
def test_pointers_are_moved_as_a_whole_between_domains(page, seed, number, version):
    one, other = (page(SIMILAR, seed, domain, number, version) for domain in (2, 5))
    moved = {
        int.from_bytes(words_of(other)[at], "little") - int.from_bytes(words_of(one)[at], "little")
        for at in differing_words(one, other)
    }
    assert len(moved) == 1


@given(seed=seeds, number=numbers, version=versions, kind=st.sampled_from((TEXT, RANDOM)))
def test_what_is_a_domains_own_is_in_no_other(page, seed, number, version, kind):
    one, other = (page(kind, seed, domain, number, version) for domain in (0, 1))
    assert one != other


@given(
    kind=st.sampled_from((EQUAL, SIMILAR, TEXT, RANDOM)),
    number=st.lists(numbers, min_size=2, max_size=2, unique=True),
    version=st.lists(versions, min_size=2, max_size=2, unique=True),
    seed=st.lists(seeds, min_size=2, max_size=2, unique=True),
)
def test_other_numbers_versions_and_seeds_are_other_contents(page, kind, number, version, seed):
    base = page(kind, seed[0], 3, number[0], version[0])
    others = [
        page(kind, seed[0], 3, number[1], version[0]),
        page(kind, seed[0], 3, number[0], version[1]),
        page(kind, seed[1], 3, number[0], version[0]),
    ]
    assert base not in others


def test_a_zero_page_is_zero_in_every_version(page):
    assert page(ZERO, number=7) == page(ZERO, number=9, version=3) == bytes(PAGE)


@pytest.mark.parametrize("kind", WRITTEN)
def test_text_is_as_compressible_as_real_pages(page, kind):
    lengths = [len(lz4.block.compress(page(kind, number=n), store_size=False)) for n in range(50)]
    assert 0.2 < sum(lengths) / (50 * PAGE) < 0.6


def test_random_pages_are_not_compressible(page):
    for number in range(50):
        assert len(lz4.block.compress(page(RANDOM, number=number), store_size=False)) >= PAGE


@given(
    at=st.integers(0, PAGE - 1),
    flip=st.integers(1, 255),
    kind=kinds,
    number=numbers,
)
def test_a_byte_that_differs_is_found_where_it_is(page, pages, at, flip, kind, number):
    right = page(kind, number=number)
    assert pages.first_difference(right, right) == PAGE
    wrong = bytearray(right)
    wrong[at] ^= flip
    assert pages.first_difference(bytes(wrong), right) == at
    assert pages.page_hash(bytes(wrong)) != pages.page_hash(right)


def chosen(pages, parts, number, seed):
    kinds = (ctypes.c_uint8 * number)()
    pages.choose_kinds(kinds, number, (ctypes.c_uint32 * 5)(*parts), ctypes.c_uint64(seed))
    return list(kinds)


@given(
    parts=st.lists(st.integers(0, 1000), min_size=5, max_size=5).filter(sum),
    number=st.integers(1, 3000),
    seed=seeds,
)
def test_shares_are_exact_to_a_page(pages, parts, number, seed):
    found = chosen(pages, parts, number, seed)
    counts = Counter(found)
    assert sum(counts.values()) == number
    for kind, part in enumerate(parts):
        assert abs(counts[kind] - number * part / sum(parts)) < 1
    assert found == chosen(pages, parts, number, seed)


def test_kinds_are_not_in_one_piece_and_follow_from_the_seed(pages):
    found = chosen(pages, (1, 1, 1, 1, 1), 1000, 1)
    changes = sum(1 for one, other in pairwise(found) if one != other)
    assert changes > 700
    assert found != chosen(pages, (1, 1, 1, 1, 1), 1000, 2)
