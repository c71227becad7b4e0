"""Which pages are equal, and which are equal but for their pointers.

By 128-bit BLAKE2b digests: two pages of one digest are one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from orchestrator.oracle.pointers import without_pointers

__all__ = ["class_numbers", "exact_digests", "pointer_digests"]

_DIGEST_BYTES = 16
_PAGES_AT_ONCE = 2048


def exact_digests(pages: NDArray[np.uint8]) -> list[bytes]:
    """A digest of each page, 4096 bytes a row."""
    return [_digest(page) for page in pages]


def pointer_digests(pages: NDArray[np.uint8]) -> list[bytes]:
    """A digest of each page that does not depend on where its pointers point to.

    It does depend on where in the page they are, and on their last 12 bits.
    """
    found: list[bytes] = []
    for chunk in _chunks(pages):
        words, bits = without_pointers(chunk)
        found += [_digest(*both) for both in zip(words, bits, strict=True)]
    return found


def class_numbers(digests: Iterable[bytes]) -> list[int]:
    """The same number for the same digest, counted from 0 as they come."""
    numbers: dict[bytes, int] = {}
    return [numbers.setdefault(digest, len(numbers)) for digest in digests]


def _digest(*parts: NDArray[np.uint8] | NDArray[np.uint64]) -> bytes:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part.data)
    return digest.digest()


def _chunks(pages: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(pages), _PAGES_AT_ONCE):
        yield pages[start : start + _PAGES_AT_ONCE]
