"""Pages without where their pointers point to.

Address randomisation moves each part of a process (its heap, its mappings, its
stack) by whole pages. So pages of two processes that do the same differ in
their pointers, and these agree in their last 12 bits. What is left of a page
here is every other word, and of a pointer its place in the page and those bits.

A word counts as a pointer when it is aligned to 8 bytes and lies where arm64
Linux puts a process:

======================== ====================================================
4 MiB to 2 GiB           a program linked to fixed addresses, and its heap
                         (brk), which is moved by up to 1 GiB
from 2/3 of the space    a program that runs anywhere, and its heap
the space's last 8 GiB   mappings, libraries, the stack
======================== ====================================================

for a space of 39 bits (what kernels with 4 KiB pages have by default) and of 48.
A number may look like a pointer. That can only make more pages alike: what
follows from it is a ceiling all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["USER_RANGES", "without_pointers"]

_GIB = 1 << 30
_OFFSET = np.uint64(0xFFF)


def _ranges(bits: int) -> list[tuple[int, int]]:
    """Where a process lies in a user space of so many bits, besides its lowest part."""
    space = 1 << bits
    anywhere = 2 * space // 3 & ~0xFFF
    return [(anywhere, anywhere + 4 * _GIB), (space - 8 * _GIB, space)]


USER_RANGES: tuple[tuple[int, int], ...] = ((4 << 20, 2 * _GIB), *_ranges(39), *_ranges(48))
"""First address and the one behind the last."""


def without_pointers(
    pages: NDArray[np.uint8],
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """What is left of pages, and where their pointers were.

    Args:
        pages: one a row, 4096 bytes each.

    Returns:
        Their words, 512 a row, pointers reduced to their last 12 bits; and a
        bit for each word, 64 bytes a row, set where it was a pointer.
    """
    words: NDArray[np.uint64] = np.ascontiguousarray(pages).view("<u8")
    pointer: NDArray[np.bool_] = np.zeros(words.shape, dtype=np.bool_)
    for first, end in USER_RANGES:
        # one comparison a range: below it, the difference wraps around to a large number
        pointer |= (words - np.uint64(first)) < np.uint64(end - first)
    bits: NDArray[Any] = np.packbits(pointer, axis=1)
    return np.where(pointer, words & _OFFSET, words), bits
