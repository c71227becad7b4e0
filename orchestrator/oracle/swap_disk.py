"""Pages on a domU's swap disk: what the store refused.

Slot n of the swap area is block n of 4096 bytes of the disk. From the disk
alone nobody can tell which blocks are in use: the domU does not say when a slot
is free again, and a page that went to the store later leaves an old block
behind. So every block is taken that is not zero and whose slot the store does
not hold: all that are in use (a page of zeros is never written), and perhaps
some that are stale. More pages can only raise a ceiling.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.oracle.encodings import PAGE_SIZE

__all__ = ["written_pages"]

_PAGES_AT_ONCE = 4096


def written_pages(image: Path, held: Collection[int]) -> NDArray[np.uint8]:
    """The blocks that may be swapped pages, one a row.

    Args:
        image: the disk, raw.
        held: slots whose pages are in the store.
    """
    size = image.stat().st_size // PAGE_SIZE
    if size == 0:
        return np.zeros((0, PAGE_SIZE), dtype=np.uint8)
    disk = np.memmap(image, dtype=np.uint8, mode="r", shape=(size, PAGE_SIZE))
    wanted = np.ones(size, dtype=np.bool_)
    wanted[0] = False  # the swap area's own header
    known = np.fromiter((slot for slot in held if slot < size), dtype=np.int64)
    wanted[known] = False
    found = [
        disk[start + np.flatnonzero(chosen)]
        for start in range(0, size, _PAGES_AT_ONCE)
        if (
            chosen := wanted[start : start + _PAGES_AT_ONCE]
            & disk[start : start + _PAGES_AT_ONCE].any(axis=1)
        ).any()
    ]
    return np.concatenate(found) if found else np.zeros((0, PAGE_SIZE), dtype=np.uint8)
