"""Planted classes are found, and only they."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.oracle.classes import class_numbers, exact_digests, pointer_digests
from orchestrator.oracle.pointers import USER_RANGES, without_pointers
from tests.unit.oracle.planted import HEAP, MAPPED, PAGE, page, stacked


def classes(pages):
    rows = stacked(pages)
    return class_numbers(exact_digests(rows)), class_numbers(pointer_digests(rows))


def test_pages_that_differ_in_pointers_only_are_one_class_of_those_and_two_of_the_others():
    exact, pointers = classes([page(1), page(1, shift=77), page(2), page(1), page(2, shift=-3)])
    assert exact == [0, 1, 2, 0, 3]
    assert pointers == [0, 0, 1, 0, 1]


def test_a_byte_beside_the_pointers_keeps_pages_apart():
    one = bytearray(page(1, pointers=0))
    other = bytearray(one)
    other[17] ^= 1
    assert classes([bytes(one), bytes(other)]) == ([0, 1], [0, 1])


def test_the_last_12_bits_of_a_pointer_count():
    one, other = (np.full(512, HEAP + low, dtype="<u8").tobytes() for low in (0x10, 0x18))
    assert classes([one, other])[1] == [0, 1]


def test_a_pointer_is_not_taken_for_the_number_that_is_left_of_it():
    pointer = np.full(512, MAPPED + 0x1F8, dtype="<u8").tobytes()
    number = np.full(512, 0x1F8, dtype="<u8").tobytes()
    assert classes([pointer, number])[1] == [0, 1]


@pytest.mark.parametrize(
    ("word", "is_one"),
    [
        (0, False),
        (4096, False),  # below any program
        (0x40_0000, True),  # a program linked to fixed addresses
        (0x7FFF_FFFF, True),  # its heap, as far as randomisation moves it
        (0x1_0000_0000, False),
        (0x55_5555_4FFF, False),
        (0x55_5555_5000, True),  # a program that runs anywhere
        (0x7F_FFFF_F000, True),  # the stack
        (0x80_0000_0000, False),  # behind a space of 39 bits
        (0xAAAA_AAAA_B000, True),  # the same in 48 bits
        (0xFFFF_FFFF_F000, True),
        (0x1_0000_0000_0000, False),
        (0xFFFF_8000_0000_0000, False),  # the kernel's
        (0x6865_6C6C_6F20_7765, False),  # text
    ],
)
def test_what_looks_like_a_pointer(word, is_one):
    words, bits = without_pointers(stacked([np.full(512, word, dtype="<u8").tobytes()]))
    assert bool(bits.all()) is is_one
    assert bool(bits.any()) is is_one
    assert set(words[0].tolist()) == {word & 0xFFF if is_one else word}


def test_the_ranges_lie_apart():
    ends = [bound for both in sorted(USER_RANGES) for bound in both]
    assert ends == sorted(set(ends))


WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, HEAP, MAPPED, HEAP + PAGE, MAPPED + PAGE, HEAP + 8]),
)
PAGES = st.lists(
    st.lists(WORDS, min_size=4, max_size=4).map(
        lambda words: np.array(words * 128, dtype="<u8").tobytes()
    ),
    min_size=1,
    max_size=12,
)


@given(PAGES)
def test_classes_by_pointers_are_unions_of_classes_of_equal_pages(pages):
    exact, pointers = classes(pages)
    assert len(set(exact)) == len(set(pages))
    assert len(set(zip(exact, pointers, strict=True))) == len(set(exact))


@given(st.lists(st.binary(min_size=1, max_size=2)))
def test_numbers_are_given_as_digests_come(digests):
    numbers = class_numbers(digests)
    assert sorted(set(numbers)) == list(range(len(set(digests))))
    assert dict(zip(numbers, digests, strict=True)) == {
        number: digest for digest, number in zip(digests, numbers, strict=True)
    }
