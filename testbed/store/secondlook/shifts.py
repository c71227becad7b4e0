"""A page as the distances by which another page's pointers have moved.

The pointers of the other page, the *base*, are taken in order of where they
point to. Those of one part of a process then follow each other, and all of them
have moved by the same number of pages: a *run*. Usually there are one to three::

    run:  count (varint) | shift in pages, signed (varint, zigzag)

The counts of all runs together are the number of pointers. Whatever a word
really was, the page comes back exactly: only its twins can be written so at all,
and numbers that only look like pointers cost runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from testbed.store.secondlook.pointers import is_pointer, part_of, pointer_places, words_of

__all__ = ["Unshiftable", "likely_runs", "runs_between", "shifted"]

_OFFSET_BITS = 12
_OFFSET = (1 << _OFFSET_BITS) - 1
_WORD = (1 << 64) - 1


class Unshiftable(ValueError):
    """The runs are none of this base's."""


def _in_order(base: Sequence[int]) -> list[int]:
    """Places of the pointers of ``base``, by where they point to."""
    return sorted(pointer_places(list(base)), key=lambda at: (base[at], at))


def runs_between(base: bytes, page: bytes) -> bytes:
    """The runs that make ``page`` of ``base``, its twin by ``pointers.mask``."""
    old, new = words_of(base), words_of(page)
    runs: list[list[int]] = []
    for at in _in_order(old):
        shift = _shift(old[at], new[at])
        if runs and runs[-1][1] == shift:
            runs[-1][0] += 1
        else:
            runs.append([1, shift])
    found = bytearray()
    for count, shift in runs:
        found += _run(count, shift)
    return bytes(found)


def likely_runs(base: bytes, page: bytes) -> bytes:
    """Runs that make of ``base`` what resembles ``page``: one for each part of a process.

    A part's shift is what more than half of its pointers say of those whose
    place in ``page`` holds a pointer with the same last bits (Boyer and Moore).
    """
    old, new = words_of(base), words_of(page)
    found = bytearray()
    for _, grouped in groupby(_in_order(old), key=lambda at: part_of(old[at])):
        places = list(grouped)
        shift = votes = 0
        for at in places:
            if (old[at] ^ new[at]) & _OFFSET or not is_pointer(new[at]):
                continue
            this = _shift(old[at], new[at])
            if not votes:
                shift = this
            votes += 1 if this == shift else -1
        found += _run(len(places), shift)
    return bytes(found)


def shifted(base: bytes, runs: bytes) -> bytes:
    """What ``base`` becomes by ``runs``; ``Unshiftable`` when they are not for it."""
    words = words_of(base)
    places = iter(_in_order(words))
    numbers = _numbers(runs)
    for count in numbers:
        shift = next(numbers, None)
        if shift is None:
            raise Unshiftable("the last run has no shift")
        pages = shift >> 1 if not shift & 1 else ~(shift >> 1)
        for _ in range(count):
            at = next(places, None)
            if at is None:
                raise Unshiftable("more runs than pointers")
            words[at] = words[at] + (pages << _OFFSET_BITS) & _WORD
    if next(places, None) is not None:
        raise Unshiftable("fewer runs than pointers")
    return b"".join(word.to_bytes(8, "little") for word in words)


def _shift(before: int, after: int) -> int:
    """By how many pages a pointer has moved."""
    return (after >> _OFFSET_BITS) - (before >> _OFFSET_BITS)


def _run(count: int, shift: int) -> bytes:
    return _varint(count) + _varint(shift << 1 if shift >= 0 else ~(shift << 1))


def _varint(number: int) -> bytes:
    """7 bits a byte, the lowest first; the top bit says that more follow."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _numbers(data: bytes) -> Iterator[int]:
    number = bits = 0
    for byte in data:
        number |= (byte & 0x7F) << bits
        bits += 7
        if not byte & 0x80:
            yield number
            number = bits = 0
        elif bits >= 63:
            raise Unshiftable("a number of more than 63 bits")
    if bits:
        raise Unshiftable("the last number has no end")
