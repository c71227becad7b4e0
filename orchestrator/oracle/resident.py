"""The domUs' memory at one moment: what sharing of it would add.

Looked at are the pages of the machine's memory outside of dom0's that are not
zero: the domUs' pages, and some of Xen's own (its image, its heap, what it was
started with), at most some tens of MiB, which no domU has a copy of. A page
that a domU has freed and not used again still has its old bytes and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.oracle.classes import exact_digests, pointer_digests
from orchestrator.oracle.encodings import PAGE_SIZE

__all__ = ["Resident", "look_at_memory"]

_PAGES_AT_ONCE = 4096


@dataclass(frozen=True)
class Resident:
    """Pages in memory, as the sizes of their classes."""

    pages: int
    """That are not zero."""
    exact: dict[int, int]
    """How many classes of equal pages there are of each size."""
    pointers: dict[int, int]
    """The same of pages that differ in pointers only."""
    equal_to_swapped: int
    """Pages whose equal was also swapped out."""


def look_at_memory(files: Sequence[Path], swapped: Collection[bytes]) -> Resident:
    """Classify the pages of memory that was saved in raw files.

    Args:
        swapped: digests of the pages that were swapped out.
    """
    exact: Counter[bytes] = Counter()
    pointers: Counter[bytes] = Counter()
    for pages in _chunks(files):
        exact.update(exact_digests(pages))
        pointers.update(pointer_digests(pages))
    return Resident(
        pages=exact.total(),
        exact=_sizes(exact),
        pointers=_sizes(pointers),
        equal_to_swapped=sum(count for digest, count in exact.items() if digest in swapped),
    )


def _sizes(classes: Counter[bytes]) -> dict[int, int]:
    return dict(sorted(Counter(classes.values()).items()))


def _chunks(files: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """The pages that are not zero, some at a time."""
    for path in files:
        size = path.stat().st_size // PAGE_SIZE
        if not size:
            continue
        memory = np.memmap(path, dtype=np.uint8, mode="r", shape=(size, PAGE_SIZE))
        for start in range(0, size, _PAGES_AT_ONCE):
            chunk = memory[start : start + _PAGES_AT_ONCE]
            # by words: eight times fewer to look at
            used = chunk.view(np.uint64).any(axis=1)
            if used.any():
                yield np.asarray(chunk[used])
