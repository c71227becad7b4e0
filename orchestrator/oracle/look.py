"""One moment's swapped pages, column by column, each with its two classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.oracle.classes import class_numbers, exact_digests, pointer_digests
from orchestrator.oracle.encodings import PAGE_SIZE, encoded_length
from orchestrator.oracle.regions import StorePages
from orchestrator.oracle.swap_disk import written_pages

__all__ = ["Look", "look_at"]


@dataclass(frozen=True)
class Look:
    """Pages, the store's first. A page that two domains hold is there twice."""

    names: list[str]
    """The domains."""
    domain: list[int]
    """Of each page: the index of its domain's name."""
    on_disk: list[bool]
    """Of each page: whether it is, or was, on the swap disk."""
    length: list[int]
    """Of each page: bytes of its payload; on the disk, those that it would have."""
    exact: list[int]
    """Of each page: the number of its class of equal pages."""
    pointers: list[int]
    """Of each page: the number of its class of pages that differ in pointers only."""
    digests: frozenset[bytes]
    """Of the pages' contents."""


def look_at(
    store: StorePages, disks: Mapping[str, Path], names: list[str], compressor: str
) -> Look:
    """Decompress and classify everything that was swapped out.

    Args:
        disks: raw images of the domains' swap disks, by name.
        names: of the domains, in the order in which they are to be numbered.
        compressor: by which pages on a disk are measured: ``lz4`` or ``zstd``.

    Raises:
        InfrastructureError: a payload cannot be decompressed.
    """
    number = {name: index for index, name in enumerate(names)}
    made = store.contents()
    rows_of = {page: row for row, page in enumerate(made)}
    contents = [_rows(made.values())]
    domain = [number[name] for name in store.domains]
    length = [store.entries[page].length for page in store.pages]
    rows = [rows_of[page] for page in store.pages]
    in_store = len(rows)
    end = len(made)
    for name, image in disks.items():
        held = {slot for slot, one in zip(store.slots, store.domains, strict=True) if one == name}
        found = written_pages(image, held)
        contents.append(found)
        domain += [number[name]] * len(found)
        length += [encoded_length(compressor, page.tobytes()) for page in found]
        rows += range(end, end + len(found))
        end += len(found)
    pages = np.concatenate(contents)
    digests = exact_digests(pages)
    exact, pointers = class_numbers(digests), class_numbers(pointer_digests(pages))
    return Look(
        names=list(names),
        domain=domain,
        on_disk=[index >= in_store for index in range(len(rows))],
        length=length,
        exact=[exact[row] for row in rows],
        pointers=[pointers[row] for row in rows],
        digests=frozenset(digests),
    )


def _rows(pages: Iterable[bytes]) -> NDArray[np.uint8]:
    """The pages, one a row."""
    return np.frombuffer(b"".join(pages), dtype=np.uint8).reshape(-1, PAGE_SIZE)
