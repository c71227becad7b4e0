"""Sharing pages: the memory that holds the compressed pages.

The arena is one region cut into granules of 8 bytes. A block is one granule
of header and one payload, rounded up to granules::

    | length u16 | before u16 | owner u32 | payload ... | padding |

``owner`` is the page id of the entry that the block belongs to. ``before`` is
the size of the block in front in granules, 0 when that is a hole: so holes
that touch are merged at once, and the topmost block can be found. A length of
0 marks a hole (see ``holes.py``).

A store that was killed needs *payload, length and owner* of the blocks that
its rows reach, and no more. A block is therefore complete before its offset is
handed out. A block moves only to where no block is, not even itself; then its
entry is told; then its old place is free.

When neither a hole nor the untouched end takes a payload, the blocks are
moved together, so an allocation fails only when the rounded blocks truly do
not fit. The caller promises at most ``capacity_bytes`` of payload in all, and
one page more while a page is replaced. A payload of 16 bytes or more takes at
most twice its length with header and rounding, so twice the capacity is mapped
and a promise that is kept never meets the end.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator

from testbed.store.holes import Holes
from testbed.store.layout import ArenaState
from testbed.store.protocol import MIN_PAYLOAD, PAGE_SIZE
from testbed.store.region import Region, pages

__all__ = ["GRANULE", "Arena", "ArenaFull", "arena_size", "granules"]

GRANULE = 8
"""Bytes; block offsets are counted in these."""
_FLOOR = 1
"""Granule 0 stays unused, so that 0 is no block."""
_TRIM_BYTES = 64 * 1024
_LAZY, _EAGER = 8, 32
"""Holes of an eighth of the arena are worth moving blocks while there is work
to do; of a 32nd when there is none."""

Moved = Callable[[int, int], None]


class ArenaFull(Exception):
    """The promise of at most ``capacity_bytes`` of payload was broken."""


def granules(length: int) -> int:
    """Size of the block of a payload of ``length`` bytes, header included."""
    return length + 2 * GRANULE - 1 >> 3


_SMALLEST, _LARGEST = granules(MIN_PAYLOAD), granules(PAGE_SIZE)


def arena_size(capacity_bytes: int) -> int:
    """Bytes of the region that an arena of this capacity needs."""
    blocks = 2 * (capacity_bytes + PAGE_SIZE)
    return pages(blocks + (_FLOOR + _LARGEST) * GRANULE)


class Arena:
    """Blocks of 16 to 4096 payload bytes in one region, with its own tally."""

    def __init__(self, region: Region, capacity_bytes: int) -> None:
        """An empty arena in ``region``; see ``recover`` for one that is not."""
        self.capacity_bytes = capacity_bytes
        self._region = region
        self._words = region.column("Q")
        self._befores = region.column("H", 1, 4)
        self._scratch = region.size // GRANULE - _LARGEST
        self.state = ArenaState(
            memory=region.address,
            capacity_bytes=capacity_bytes,
            top=_FLOOR,
            last=_FLOOR,  # size of the block below the top; it is never a hole
            scratch=self._scratch,
        )
        self._holes = Holes(self.state, self._words, region.column("I"), _SMALLEST)
        self.moves = 0
        """Blocks moved to give memory back."""

    # Figures

    @property
    def payload_bytes(self) -> int:
        """Payload bytes given out, counted by the arena from its own headers."""
        return int(self.state.payload_bytes)

    @property
    def blocks(self) -> int:
        """Blocks given out."""
        return int(self.state.blocks)

    @property
    def rounded_bytes(self) -> int:
        """Bytes given out with their headers and rounding."""
        return int(self.state.top - _FLOOR - self._holes.granules) * GRANULE

    @property
    def reserved_bytes(self) -> int:
        """Memory that the arena takes: whole pages, given out or not."""
        return pages(max(self.state.touched_bytes, self.state.top * GRANULE))

    @property
    def metadata_bytes(self) -> int:
        """Memory outside of the region."""
        return ctypes.sizeof(self.state)

    # Blocks

    def put(self, owner: int, payload: bytes, moved: Moved) -> int:
        """Copies ``payload`` into a block of ``owner``'s; returns its offset in granules.

        ``moved(owner, offset)`` is called for every block that had to move.
        Raises ``ArenaFull`` when the payloads exceed the capacity.
        """
        length = len(payload)
        if not MIN_PAYLOAD <= length <= PAGE_SIZE:
            raise ValueError(f"a payload of {length} bytes, not {MIN_PAYLOAD} to {PAGE_SIZE}")
        if self.payload_bytes + length > self.capacity_bytes + PAGE_SIZE:
            raise ArenaFull(f"{length} bytes more than {self.capacity_bytes}")
        need = length + 15 >> 3
        if self.state.top + need > self._scratch and not self._holes.fitting(need):
            self._move_together(moved)
        offset, before = self._place(need)
        self._region.write((offset + 1) * GRANULE, payload)
        self._words[offset] = length | before << 16 | owner << 32
        self.state.payload_bytes += length
        self.state.blocks += 1
        return offset

    def get(self, offset: int, length: int) -> bytes:
        """The first ``length`` bytes of the payload of the block at ``offset``."""
        at = (offset + 1) * GRANULE
        return self._region.read(at, at + length)

    def header(self, offset: int) -> tuple[int, int]:
        """Owner and payload length as the block at ``offset`` has them."""
        word = self._words[offset]
        return word >> 32, word & 0xFFFF

    def release(self, offset: int) -> None:
        """Takes the block at ``offset`` back."""
        word = self._words[offset]
        length = word & 0xFFFF
        if not length:
            raise ValueError(f"the block at granule {offset} is free already")
        self.state.payload_bytes -= length
        self.state.blocks -= 1
        self._free(offset, length + 15 >> 3, word >> 16 & 0xFFFF)

    # Giving memory back

    def tidy(self, moved: Moved, most: int, *, idle: bool) -> bool:
        """Moves up to ``most`` blocks from the top into holes; whether it may go on.

        Does nothing while holes are few; they may be more unless ``idle``.
        """
        limit = _EAGER if idle else _LAZY
        going = False
        for _ in range(most):
            going = self._holes.granules * limit > self.state.top and self._lower(moved)
            if not going:
                break
        slack = self.state.touched_bytes - pages(self.state.top * GRANULE)
        if slack >= _TRIM_BYTES or (slack and idle and not going):
            self._trim()
        return going

    def _lower(self, moved: Moved) -> bool:
        """Moves the topmost block into a hole; False when none takes it."""
        need = self.state.last
        target = self._holes.fitting(need)
        if not target:
            return False
        offset = self.state.top - need
        before = self._take(target, need)
        self._copy(offset, target, before, moved)
        self._free(offset, need, self._befores[offset])
        return True

    def _copy(self, offset: int, target: int, before: int, moved: Moved) -> None:
        """Copies a block to ``target``, where no block is, and tells its entry."""
        owner, length = self.header(offset)
        self._region.write((target + 1) * GRANULE, self.get(offset, length))
        self._words[target] = length | before << 16 | owner << 32
        moved(owner, target)
        self.moves += 1

    def _move_together(self, moved: Moved) -> None:
        """Leaves no hole. A block that would overlap itself goes by way of the scratch."""
        while self._holes.granules and self._lower(moved):
            pass
        target = before = _FLOOR
        for offset, _, length in list(self.blocks_in_use()):
            need = granules(length)
            if offset != target:
                source = offset
                if target + need > offset:
                    source = self._scratch
                    self._copy(offset, source, 0, moved)
                self._copy(source, target, before, moved)
            target, before = target + need, need
        self._holes.forget()
        self.state.top, self.state.last = target, before
        self.state.touched_bytes = self._region.size  # the scratch
        self._trim()

    def _trim(self) -> None:
        """Gives the pages behind the top back."""
        end = pages(self.state.top * GRANULE)
        self._region.discard(end, self._region.size)
        self.state.touched_bytes = end

    # Looking at all of it

    def blocks_in_use(self) -> Iterator[tuple[int, int, int]]:
        """Offset, owner and payload length of every block, read from its header."""
        offset, words = _FLOOR, self._words
        while offset < self.state.top:
            word = words[offset]
            length = word & 0xFFFF
            if length:
                yield offset, word >> 32, length
                offset += length + 15 >> 3
            else:
                offset += word >> 32

    def holds(self, offset: int, owner: int, length: int) -> bool:
        """Whether a region that was found has ``owner``'s block of ``length`` there."""
        if not MIN_PAYLOAD <= length <= PAGE_SIZE:
            return False
        end = offset + granules(length)
        return (
            offset >= _FLOOR
            and end * GRANULE <= self._region.data_end
            and (end <= self._scratch or offset == self._scratch)
            and self.header(offset) == (owner, length)
        )

    def recover(self, blocks: Iterable[tuple[int, int]], moved: Moved) -> None:
        """Takes over ``blocks`` (offset, length), which do not overlap, from the bottom up.

        Everything between them is free. Raises ``ArenaFull`` for blocks that no
        arena would have put there.
        """
        self._holes.forget()
        self.state.top = self.state.last = _FLOOR
        self.state.payload_bytes = self.state.blocks = 0
        for offset, length in blocks:
            self.state.payload_bytes += length
            self.state.blocks += 1
            need = granules(length)
            if offset == self._scratch:  # it was on its way down: its old place is free
                self._copy(offset, *self._place(need), moved)
                break
            if gap := offset - self.state.top:
                self._holes.add(self.state.top, gap, self.state.last)
            self._befores[offset] = 0 if gap else self.state.last
            self.state.last = need
            self.state.top = offset + need
        self.state.touched_bytes = self._region.size
        self._trim()

    # Inside

    def _place(self, need: int) -> tuple[int, int]:
        """Room for a block of ``need`` granules: its offset, and the size before it.

        Raises ``ArenaFull``.
        """
        offset = self._holes.fitting(need)
        if offset:
            return offset, self._take(offset, need)
        offset, before = self.state.top, self.state.last
        if offset + need > self._scratch:
            raise ArenaFull(f"{need * GRANULE} bytes do not fit")
        self.state.top = offset + need
        self.state.last = need
        return offset, before

    def _take(self, start: int, need: int) -> int:
        """Makes ``need`` granules of the hole at ``start`` a block's; the size before it."""
        word = self._words[start]
        size = word >> 32
        self._holes.remove(start, size)
        if size > need:
            self._holes.add(start + need, size - need, need)
        else:
            self._befores[start + need] = need
        return word >> 16 & 0xFFFF

    def _free(self, start: int, size: int, before: int) -> None:
        """Makes a block's granules a hole, together with the holes it touches."""
        words, holes = self._words, self._holes
        end = start + size
        if not before:
            size = words[start - 1] >> 32
            start -= size
            holes.remove(start, size)
            before = words[start] >> 16 & 0xFFFF
        if end == self.state.top:
            if end * GRANULE > self.state.touched_bytes:
                self.state.touched_bytes = end * GRANULE
            self.state.top = start
            self.state.last = before
            return
        word = words[end]
        if not word & 0xFFFF:
            size = word >> 32
            holes.remove(end, size)
            end += size
        holes.add(start, end - start, before)
        self._befores[end] = 0
