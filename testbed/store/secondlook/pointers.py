"""Which words of a page look like pointers into a process of the guest.

Address randomisation moves each part of a process (its program, heap, mappings,
stack) by whole pages. Two processes that do the same therefore have pages
that differ in their pointers only, and those agree in their last 12 bits.

A word is taken for a pointer when it is aligned to 8 bytes and lies where
arm64 Linux puts a process:

======================== ====================================================
4 MiB to 2 GiB           a program linked to fixed addresses, and its heap
                         (brk), which is moved by up to 1 GiB
from 2/3 of the space    a program that runs anywhere, and its heap
the space's last 8 GiB   mappings, libraries, the stack
======================== ====================================================

for a space of 39 bits (what kernels with 4 KiB pages have by default) and of
48. Sources: ``ELF_ET_DYN_BASE`` and ``arch_mmap_rnd()`` of Linux 6.1,
``arch/arm64/include/asm/elf.h`` and ``mm/util.c``.

This is a guess about where a twin may be found, and no more: what is kept
follows from what the pages really hold. ``native/pointers.h`` has the same.
"""

from __future__ import annotations

from testbed.store.protocol import PAGE_SIZE

__all__ = ["USER_RANGES", "WORDS", "is_pointer", "mask", "part_of", "pointer_places", "words_of"]

WORDS = PAGE_SIZE // 8
"""Words in a page."""
_GIB = 1 << 30
_OFFSET = 0xFFF


def _ranges(bits: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a process lies in a user space of so many bits, besides its lowest part."""
    space = 1 << bits
    anywhere = 2 * space // 3 & ~_OFFSET
    return (anywhere, anywhere + 4 * _GIB), (space - 8 * _GIB, space)


USER_RANGES = ((4 << 20, 2 * _GIB), *_ranges(39), *_ranges(48))
"""First address, and the one behind the last."""


def part_of(word: int) -> int:
    """In which of the ranges ``word`` lies, counted from 1; 0 for none."""
    for number, (first, end) in enumerate(USER_RANGES, 1):
        if first <= word < end:
            return number
    return 0


def is_pointer(word: int) -> bool:
    """Whether ``word`` lies where a process may be."""
    return part_of(word) != 0


def words_of(page: bytes) -> list[int]:
    """The 512 little-endian words of a page of 4096 bytes."""
    return memoryview(page).cast("Q").tolist()


def pointer_places(words: list[int]) -> list[int]:
    """The indices of the words that look like pointers."""
    return [at for at, word in enumerate(words) if is_pointer(word)]


def mask(page: bytes) -> bytes:
    """``page`` with its pointers reduced to their last 12 bits, and a bit for each word.

    4096 + 64 bytes. Two pages with the same are twins: they differ in nothing
    but whole-page shifts of what looks like a pointer.
    """
    words = words_of(page)
    places = bytearray(WORDS // 8)
    for at in pointer_places(words):
        words[at] &= _OFFSET
        places[at >> 3] |= 1 << (at & 7)
    return b"".join(word.to_bytes(8, "little") for word in words) + bytes(places)
