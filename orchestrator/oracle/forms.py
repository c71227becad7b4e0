"""What the store keeps of a page that it keeps smaller, made into the page again.

By the libraries of the host, and without the store's code. Numbers are little-endian::

    compressed once more  u32, zstd frame without its magic number
    twin, near twin       u32, page id of the base u32, n u16, n bytes of runs,
                          and of a near twin such a frame beside what the runs make

The base's pointers, in order of where they point to, move by whole pages: a run is
how many of them, and by how many pages, as numbers of 7 bits a byte, the lowest
first, the second with its sign in the lowest bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum

import numpy as np
import zstandard

from orchestrator.errors import InfrastructureError
from orchestrator.oracle.encodings import PAGE_SIZE, decode
from orchestrator.oracle.pointers import USER_RANGES

__all__ = ["Form", "base_of", "made_again"]

_CHECK_BYTES, _HEAD_BYTES = 4, 10
_MAGICLESS = zstandard.FORMAT_ZSTD1_MAGICLESS


class Form(IntEnum):
    """How a page is kept, as the store numbers it."""

    RECEIVED = 0
    RECOMPRESSED = 1
    TWIN = 2
    NEAR_TWIN = 3


def base_of(form: int, kept: bytes) -> int:
    """The page id of the page that ``kept`` needs; 0 for none."""
    return int.from_bytes(kept[4:8], "little") if form >= Form.TWIN else 0


def made_again(form: int, encoding: int, kept: bytes, page_of: Callable[[int], bytes]) -> bytes:
    """The page of what is kept.

    Args:
        encoding: of the payload as it was sent.
        page_of: the page of a base, by its page id.

    Raises:
        InfrastructureError: it is that of no page.
    """
    try:
        if form == Form.RECEIVED:
            return decode(encoding, kept)
        if form == Form.RECOMPRESSED:
            return _unzipped(kept[_CHECK_BYTES:])
        if form not in (Form.TWIN, Form.NEAR_TWIN):
            raise InfrastructureError(f"a page in form {form}, which is not known")
        end = _HEAD_BYTES + int.from_bytes(kept[8:10], "little")
        moved = _moved(page_of(base_of(form, kept)), kept[_HEAD_BYTES:end])
        return moved if form == Form.TWIN else _unzipped(kept[end:], moved)
    except (zstandard.ZstdError, ValueError) as error:
        raise InfrastructureError(f"what is kept of a page makes none: {error}") from error


def _unzipped(frame: bytes, beside: bytes = b"") -> bytes:
    raw = zstandard.ZstdCompressionDict(beside, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    unzip = zstandard.ZstdDecompressor(dict_data=raw if beside else None, format=_MAGICLESS)
    page = unzip.decompress(frame, max_output_size=PAGE_SIZE)
    if len(page) != PAGE_SIZE:
        raise ValueError(f"{len(page)} bytes")
    return page


def _moved(base: bytes, runs: bytes) -> bytes:
    words = np.frombuffer(base, dtype="<u8")
    pointer = np.zeros(len(words), dtype=np.bool_)
    for first, end in USER_RANGES:
        pointer |= (words >= np.uint64(first)) & (words < np.uint64(end))
    order = np.argsort(np.where(pointer, words, np.uint64((1 << 64) - 1)), kind="stable")
    order = order[: int(pointer.sum())]
    numbers = list(_numbers(runs))
    counts, signed = numbers[::2], numbers[1::2]
    by = [number >> 1 if not number & 1 else -1 - (number >> 1) for number in signed]
    shifts = np.repeat(np.array(by, dtype=np.int64), counts)
    if len(shifts) != len(order):
        raise ValueError(f"{len(shifts)} shifts for {len(order)} pointers")
    moved = words.copy()
    moved[order] += (shifts << 12).astype(np.uint64)
    return moved.tobytes()


def _numbers(data: bytes) -> Iterator[int]:
    number = bits = 0
    for byte in data:
        number |= (byte & 0x7F) << bits
        bits += 7
        if byte < 0x80:
            yield number
            number = bits = 0
