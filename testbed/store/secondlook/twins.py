"""Masking and shifting pages, by the native piece or in Python alone."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import NamedTuple, Protocol

import xxhash

from testbed.store.errors import TransportError
from testbed.store.protocol import PAGE_SIZE
from testbed.store.secondlook.pointers import WORDS, mask
from testbed.store.secondlook.shifts import Unshiftable, likely_runs, runs_between, shifted

__all__ = ["Masked", "NativeTwins", "PythonTwins", "Twins"]


BLOCK_BYTES, TELLING_BYTES = 64, 8
"""Of a block that a feature is made of; bytes of it that must not be 0."""


class Masked(NamedTuple):
    """A page without where its pointers point to."""

    digest: int
    """64 bits, of the masked page and of where in it the pointers are."""
    pointers: int
    """How many there are."""


class Twins(Protocol):
    """What the second look needs to know of a pair of pages, 4096 bytes each."""

    def mask(self, page: bytes, seed: int) -> Masked:
        """What is left of ``page`` without its pointers' targets."""

    def runs(self, base: bytes, page: bytes, room: int) -> bytes | None:
        """What makes ``page`` of ``base`` in up to ``room`` bytes; None if nothing does."""

    def likely_runs(self, base: bytes, page: bytes) -> bytes:
        """What makes of ``base`` what resembles ``page``."""

    def feature(self, page: bytes, seed: int) -> int:
        """A 64-bit number, 0 for none: the more pages have in common, pointers aside, the
        likelier theirs is the same."""

    def shifted(self, base: bytes, runs: bytes) -> bytes:
        """What ``base`` becomes by ``runs``; ``Unshiftable`` when they are not for it."""


class PythonTwins:
    """The reference."""

    def mask(self, page: bytes, seed: int) -> Masked:
        """See ``Twins.mask``."""
        masked = mask(page)
        pointers = sum(byte.bit_count() for byte in masked[PAGE_SIZE:])
        return Masked(xxhash.xxh3_64_intdigest(masked, seed), pointers)

    def runs(self, base: bytes, page: bytes, room: int) -> bytes | None:
        """See ``Twins.runs``."""
        if mask(base) != mask(page):
            return None
        runs = runs_between(base, page)
        return runs if len(runs) <= room else None

    def likely_runs(self, base: bytes, page: bytes) -> bytes:
        """See ``Twins.likely_runs``."""
        return likely_runs(base, page)

    def feature(self, page: bytes, seed: int) -> int:
        """See ``Twins.feature``."""
        masked = mask(page)[:PAGE_SIZE]
        blocks = [masked[at : at + BLOCK_BYTES] for at in range(0, PAGE_SIZE, BLOCK_BYTES)]
        telling = [block for block in blocks if block.count(0) <= BLOCK_BYTES - TELLING_BYTES]
        return min((xxhash.xxh3_64_intdigest(block, seed) for block in telling), default=0)

    def shifted(self, base: bytes, runs: bytes) -> bytes:
        """See ``Twins.shifted``."""
        return shifted(base, runs)


class NativeTwins:
    """``native/pointers.c``, some hundred times as fast."""

    def __init__(self, path: Path) -> None:
        """Loads the library at ``path``; ``TransportError`` when that cannot be done."""
        try:
            library = ctypes.CDLL(str(path))
            self._mask, self._runs = library.pageshare_mask, library.pageshare_runs
            self._shifted, self._likely = library.pageshare_shifted, library.pageshare_likely_runs
            self._feature = library.pageshare_feature
        except (OSError, AttributeError) as error:
            raise TransportError(f"{path}: {error}") from error
        number, text = ctypes.c_uint32, ctypes.c_char_p
        self._mask.argtypes = [text, ctypes.c_uint64, ctypes.c_void_p]
        self._runs.argtypes = [text, text, ctypes.c_void_p, number]
        self._likely.argtypes = [text, text, ctypes.c_void_p]
        self._feature.argtypes = [text, ctypes.c_uint64]
        self._feature.restype = ctypes.c_uint64
        self._shifted.argtypes = [text, text, number, ctypes.c_void_p]
        self._digest = ctypes.c_uint64()
        self._buffer = ctypes.create_string_buffer(PAGE_SIZE)

    def mask(self, page: bytes, seed: int) -> Masked:
        """See ``Twins.mask``."""
        pointers = self._mask(_whole(page), seed, ctypes.byref(self._digest))
        return Masked(self._digest.value, pointers)

    def runs(self, base: bytes, page: bytes, room: int) -> bytes | None:
        """See ``Twins.runs``."""
        room = min(room, PAGE_SIZE)
        length = self._runs(_whole(base), _whole(page), self._buffer, room)
        return None if length < 0 else self._buffer.raw[:length]

    def likely_runs(self, base: bytes, page: bytes) -> bytes:
        """See ``Twins.likely_runs``."""
        length = self._likely(_whole(base), _whole(page), self._buffer)
        return self._buffer.raw[:length]

    def feature(self, page: bytes, seed: int) -> int:
        """See ``Twins.feature``."""
        found: int = self._feature(_whole(page), seed)
        return found

    def shifted(self, base: bytes, runs: bytes) -> bytes:
        """See ``Twins.shifted``."""
        if self._shifted(_whole(base), runs, len(runs), self._buffer):
            raise Unshiftable("the runs are none of this base's")
        return self._buffer.raw


def _whole(page: bytes) -> bytes:
    """C reads all of it, whatever its length."""
    if len(page) != WORDS * 8:
        raise ValueError(f"a page of {len(page)} bytes")
    return page
