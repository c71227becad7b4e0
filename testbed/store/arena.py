"""Sharing pages: the memory that holds the compressed pages.

The arena is one mapped file (on tmpfs) cut into granules of 16 bytes. A block
is an 8-byte header and one payload, rounded up to granules::

    | owner u32 | length u16 | granules u16 | payload ... | padding |

``owner`` is the page id of the entry that the block belongs to, 0 for a free
block. Free blocks wait in one list a size, linked through the four bytes
behind their headers; what is left of a larger block goes back to the lists.
When neither a free block nor the untouched end can take a payload, the blocks
are moved together, so an allocation fails only when the rounded blocks truly
do not fit.

The caller promises at most ``capacity_bytes`` of payload in all. A payload of
16 bytes or more takes at most twice its length with header and rounding, so
twice the capacity is mapped and a promise that is kept never meets the end.
Granules that were never touched take no memory.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterator

from testbed.store.protocol import MIN_PAYLOAD, PAGE_SIZE

__all__ = ["GRANULE", "Arena", "ArenaFull"]

GRANULE = 16
"""Bytes; block offsets are counted in these."""
_HEADER = struct.Struct("<IHH")
_HEADER_BYTES = _HEADER.size
_FREE = struct.Struct("<IHHI")  # 0, 0, granules, offset of the next free block
_MAX_GRANULES = (_HEADER_BYTES + PAGE_SIZE + GRANULE - 1) // GRANULE
_COMPACT_MIN_BYTES = 256 * 1024


class ArenaFull(Exception):
    """The promise of at most ``capacity_bytes`` of payload was broken."""


class Arena:
    """Blocks of 16 to 4096 payload bytes in one mapping, with its own tally."""

    def __init__(self, capacity_bytes: int, path: str | os.PathLike[str] | None = None) -> None:
        """Maps room for ``capacity_bytes`` of payload, in ``path`` or anonymously.

        An existing file is emptied: its pages belonged to connections that
        are gone. Raises ``OSError`` when the file cannot be made.
        """
        self.capacity_bytes = capacity_bytes
        size = (2 * capacity_bytes // PAGE_SIZE + 1) * PAGE_SIZE
        if path is None:
            self._memory = mmap.mmap(-1, size)
        else:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(fd, size)
                self._memory = mmap.mmap(fd, size)
            finally:
                os.close(fd)
        self._end = size // GRANULE
        self._top = 1  # granule 0 stays unused, so that 0 is no block
        self._heads = array("I", bytes(4 * (_MAX_GRANULES + 1)))  # by size; 0: none
        self._sizes = 0  # bit n: a free block of n granules exists
        self._free_granules = 0
        self.payload_bytes = 0
        """Payload bytes given out, counted by the arena from its own headers."""
        self.blocks = 0
        self.compactions = 0

    def close(self) -> None:
        """Unmaps the arena; the file stays."""
        self._memory.close()

    @property
    def rounded_bytes(self) -> int:
        """Bytes given out with their headers and rounding."""
        return (self._top - 1 - self._free_granules) * GRANULE

    @property
    def reserved_bytes(self) -> int:
        """Memory that the arena takes: given out, or free between blocks."""
        return -(-self._top * GRANULE // PAGE_SIZE) * PAGE_SIZE

    @property
    def metadata_bytes(self) -> int:
        """Memory of the heads of the lists of free blocks."""
        return sys.getsizeof(self._heads)

    def put(self, owner: int, payload: bytes, moved: Callable[[int, int], None]) -> int:
        """Copies ``payload`` into a block of ``owner``'s; returns its offset in granules.

        ``moved(owner, offset)`` is called for every block that had to move.
        Raises ``ArenaFull`` when the payloads exceed the capacity.
        """
        length = len(payload)
        if not MIN_PAYLOAD <= length <= PAGE_SIZE:
            raise ValueError(f"a payload of {length} bytes, not {MIN_PAYLOAD} to {PAGE_SIZE}")
        if self.payload_bytes + length > self.capacity_bytes:
            raise ArenaFull(f"{length} bytes more than {self.capacity_bytes}")
        need = (length + _HEADER_BYTES + GRANULE - 1) // GRANULE
        larger = self._sizes >> need
        if larger:
            offset = self._reuse(need, need + (larger & -larger).bit_length() - 1)
        else:
            if self._top + need > self._end:
                self.compact(moved)
            offset = self._top
            if offset + need > self._end:
                raise ArenaFull(f"{need * GRANULE} bytes do not fit")
            self._top = offset + need
        at = offset * GRANULE
        _HEADER.pack_into(self._memory, at, owner, length, need)
        at += _HEADER_BYTES
        self._memory[at : at + length] = payload
        self.payload_bytes += length
        self.blocks += 1
        return offset

    def get(self, offset: int, length: int) -> bytes:
        """The first ``length`` bytes of the payload of the block at ``offset``."""
        at = offset * GRANULE + _HEADER_BYTES
        return self._memory[at : at + length]

    def release(self, offset: int) -> None:
        """Takes the block at ``offset`` back."""
        owner, length, granules = _HEADER.unpack_from(self._memory, offset * GRANULE)
        if not owner:
            raise ValueError(f"the block at granule {offset} is free already")
        self.payload_bytes -= length
        self.blocks -= 1
        self._add_free(offset, granules)
        if not self.blocks:
            self._reset(1)

    def worth_compacting(self) -> bool:
        """Whether free blocks take over a quarter of the arena, and 256 KiB."""
        free = self._free_granules
        return free * 4 > self._top and free * GRANULE >= _COMPACT_MIN_BYTES

    def compact(self, moved: Callable[[int, int], None]) -> None:
        """Moves the blocks together and gives the memory behind them back."""
        memory = self._memory
        target = 1
        for offset, owner, _, granules in list(self._walk()):
            if not owner:
                continue
            if offset != target:
                memory.move(target * GRANULE, offset * GRANULE, granules * GRANULE)
                moved(owner, target)
            target += granules
        self._reset(target)
        self.compactions += 1

    def blocks_in_use(self) -> Iterator[tuple[int, int, int]]:
        """Offset, owner and payload length of every block, read from its header."""
        for offset, owner, length, _ in self._walk():
            if owner:
                yield offset, owner, length

    def _walk(self) -> Iterator[tuple[int, int, int, int]]:
        offset = 1
        while offset < self._top:
            owner, length, granules = _HEADER.unpack_from(self._memory, offset * GRANULE)
            yield offset, owner, length, granules
            offset += granules

    def _reuse(self, need: int, size: int) -> int:
        offset = self._heads[size]
        following = _FREE.unpack_from(self._memory, offset * GRANULE)[3]
        self._heads[size] = following
        if not following:
            self._sizes &= ~(1 << size)
        self._free_granules -= size
        if size > need:
            self._add_free(offset + need, size - need)
        return offset

    def _add_free(self, offset: int, granules: int) -> None:
        _FREE.pack_into(self._memory, offset * GRANULE, 0, 0, granules, self._heads[granules])
        self._heads[granules] = offset
        self._sizes |= 1 << granules
        self._free_granules += granules

    def _reset(self, top: int) -> None:
        """Forgets the free blocks: everything from granule ``top`` on is untouched."""
        kept = -(-top * GRANULE // PAGE_SIZE) * PAGE_SIZE
        touched = -(-self._top * GRANULE // PAGE_SIZE) * PAGE_SIZE
        if touched > kept:
            with contextlib.suppress(OSError):  # a file system that cannot punch holes
                self._memory.madvise(mmap.MADV_REMOVE, kept, touched - kept)
        self._top = top
        self._free_granules = 0
        self._sizes = 0
        self._heads = array("I", bytes(4 * (_MAX_GRANULES + 1)))
