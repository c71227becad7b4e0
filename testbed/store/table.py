"""The page sharing table: which compressed page is kept where, and by whom.

The paper's Figure 1 in two parts: *sharing pages* are the arena's blocks,
*sharing page entries* the records of this table, with page id, number of
sharing domains and length.

Two payloads are one page when sharing group, encoding and every byte agree.
The 64-bit fingerprint (XXH3 with a secret seed for each group and encoding)
only finds the candidate: the comparison decides. It also tells damaged
memory from a good page when the page is read again.

What is kept of a page may be changed later into another form (``forms.py``),
as long as the page can be made of it: an entry's length and encoding stay those
of the payload that was sent, and so does what its holders are charged. No payload
is compared with such a page: that would take longer than to keep a new one, and a
domU could tell by the clock that somebody has it. A page that others are kept
beside, their *base*, is held by these as by one more domain.

Records and blocks lie in regions that outlive the process. Everything else,
sharers, members and the index, is derived from the domains' rows: see
``recovery.py``. A new page is complete, block first, then record, before
``take`` returns its id; only then may a row reach it.
"""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import xxhash

from testbed.store.arena import Arena
from testbed.store.entries import DAMAGED, Entries, kind
from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Recompressed
from testbed.store.growth import room_for
from testbed.store.hashindex import HashIndex
from testbed.store.layout import TableState
from testbed.store.members import Member
from testbed.store.protocol import MIN_PAYLOAD, PAGE_SIZE, Encoding
from testbed.store.rebuild import Rebuilder
from testbed.store.rekept import Rekept
from testbed.store.secondlook.recent import Recent
from testbed.store.state import State

__all__ = ["Entry", "SharingTable", "fingerprint"]

Fingerprint = Callable[[bytes, int], int]

fingerprint: Fingerprint = xxhash.xxh3_64_intdigest


@dataclass(frozen=True)
class Entry:
    """One row of the table, for reports."""

    page_id: int
    sharing_domains: int
    length: int
    """Bytes of payload."""


WHOLE_PAGE = 0xFF
"""In place of an encoding, for digests of pages and not of payloads."""


class SharingTable:
    """Entries over an arena, with tallies of its own for the books."""

    def __init__(self, state: State, digest: Fingerprint = fingerprint) -> None:
        """An empty table in the state's regions; ``recovery.recover`` fills it again."""
        self.state = state
        self.arena = Arena(state.arena, state.capacity_bytes)
        self.records = Entries(state.entries)
        self._digest = digest
        self._offsets = self.records.offsets
        self._lengths = self.records.lengths
        self._index = HashIndex(self.records.fingerprints)
        self.table_state = TableState(
            arena=ctypes.addressof(self.arena.state),
            entries=ctypes.addressof(self.records.ids.state),
            index=ctypes.addressof(self._index.state),
        )
        self._set_sharers(1)
        self.members: list[Member] = []
        self.rekept = Rekept()
        self.recent: Recent | None = None
        """Which pages were used lately, where anybody wants to know."""
        self.rebuilder = Rebuilder(self)
        self._seeds: dict[int, int] = {}

    @property
    def payload_bytes(self) -> int:
        """Payload of the distinct pages held, counted by the table."""
        return int(self.table_state.payload_bytes)

    @property
    def shared_hits(self) -> int:
        """Payloads that were found to be kept already."""
        return int(self.table_state.shared_hits)

    def __len__(self) -> int:
        """Distinct pages held."""
        return len(self._index)

    # Domains

    def join(self, group: int) -> Member:
        """A new member of the sharing group of this number."""
        member = Member(group)
        self.members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """Forgets ``member``, which must hold nothing any more."""
        if member.references:
            raise ValueError(f"a member with {member.references} references cannot leave")
        self.members.remove(member)

    # Pages

    def take(self, member: Member, encoding: int, payload: bytes) -> int:
        """One more reference of ``member`` to the page with these bytes; its id.

        ``payload`` must be private: what is compared here is what is kept.
        Raises ``ArenaFull`` when it is new and the arena's capacity is used up.
        """
        group = member.group
        value = self._digest(payload, self.seed(group, encoding))
        length = len(payload)
        candidates, slot = self._index.matches(value)
        for page in candidates:
            if (
                self._lengths[page] == length
                and self.records.groups[page] == group
                and self.records.kinds[page] == encoding
                and self.arena.get(self._offsets[page], length) == payload
            ):
                self.table_state.shared_hits += 1
                break
        else:
            page = self._insert(group, encoding, value, payload)
            self._index.fill(slot, page)
        self.use(page)
        if not member.counts.add(page):
            self._sharers[page] += 1
            member.state.distinct_bytes += length
        member.state.references += 1
        return page

    def drop(self, member: Member, page: int) -> int:
        """One reference of ``member`` to ``page`` less; what it was charged.

        Raises ``KeyError`` when ``member`` has none.
        """
        if page == DAMAGED:
            if not member.damaged:
                raise KeyError(page)
            member.damaged -= 1
            member.state.references -= 1
            return MIN_PAYLOAD
        left = member.counts.subtract(page)
        length = self._lengths[page]
        member.state.references -= 1
        if not left:
            member.state.distinct_bytes -= length
            sharers = self._sharers[page] - 1
            self._sharers[page] = sharers
            if not sharers:
                self._delete(page, length)
        return length

    def read(self, page: int) -> tuple[int, bytes]:
        """Encoding and payload of ``page``; ``DamagedPage`` if its bytes changed.

        A page that is not kept as it was sent comes as it is, RAW.
        """
        if page >= self.records.ids.end:  # DAMAGED, or a row that was damaged itself
            raise DamagedPage("a page that was lost")
        form, encoding, kept = self.kept(page)
        if form == Form.RECEIVED:
            return encoding, kept
        return Encoding.RAW, self.rebuilder.content(page)

    def use(self, page: int) -> None:
        """``page`` is used now: it is not cold."""
        if self.recent:
            self.recent.use(page)

    def kept(self, page: int) -> tuple[Form, int, bytes]:
        """Form, encoding of the payload as it was sent, and what is kept of it.

        Raises ``DamagedPage`` where that can be told without making the page of it.
        """
        records, offset = self.records, self._offsets[page]
        form, encoding = records.form(page), records.encoding(page)
        if form == Form.RECEIVED:
            payload = self.arena.get(offset, self._lengths[page])
            seed = self.seed(records.groups[page], encoding)
            if self._digest(payload, seed) != records.fingerprints[page]:
                raise DamagedPage(f"page {page}")
            return Form.RECEIVED, encoding, payload
        if form > max(Form):
            raise DamagedPage(f"page {page} is of form {form}")
        length = self.kept_length(page)
        if not length:
            raise DamagedPage(f"page {page}: its block says otherwise")
        return Form(form), encoding, self.arena.get(offset, length)

    def kept_length(self, page: int) -> int:
        """Bytes that are kept of ``page``; 0 when its block is not what it should be."""
        if self.records.form(page) == Form.RECEIVED:
            return self._lengths[page]
        owner, length = self.arena.header(self._offsets[page])
        return length if owner == page and MIN_PAYLOAD <= length <= PAGE_SIZE else 0

    def rekeep(self, page: int, what: Recompressed | Difference) -> None:
        """Keeps ``page``, which is held and no base, as ``what`` from here on.

        Raises ``ArenaFull``, and leaves all as it was, when both do not fit.
        """
        records, length, blob = self.records, self._lengths[page], what.pack()
        base = what.base if isinstance(what, Difference) else 0
        if base and (self.rekept.bases[page] or records.has_base(base)):
            raise ValueError(f"page {page} from {base}: no differences from differences")
        offset = self.arena.put(page, blob, self._moved)
        old, before, old_base = self._offsets[page], length, 0
        if form := records.form(page):
            before, old_base = self.rekept.forget(page, Form(form), length)
        if base:
            self._hold_base(base)
        records.rekeep(page, offset, kind(what.form, records.encoding(page)))
        self.arena.release(old)
        self.table_state.payload_bytes += len(blob) - before
        self.rekept.note(page, what.form, length, len(blob))
        if base:
            self.rekept.found_base(page, base)
        if old_base:
            self._let_base_go(old_base)

    def charge(self, page: int) -> int:
        """What a reference to ``page`` is charged: its payload's bytes."""
        return MIN_PAYLOAD if page == DAMAGED else self._lengths[page]

    def tidy(self, most: int, *, idle: bool) -> bool:
        """Moves up to ``most`` blocks to give memory back; whether there is more to do."""
        return self.arena.tidy(self._moved, most, idle=idle)

    def length_if_held(self, page: int) -> int:
        """Bytes of the payload of ``page``, 0 when no domain holds it."""
        if page < len(self._sharers) and self._sharers[page]:
            return self._lengths[page]
        return 0

    def block_of(self, page: int) -> int:
        """Offset of the block of ``page`` in granules, 0 when no domain holds it."""
        return self._offsets[page] if self.length_if_held(page) else 0

    def block_is_whole(self, page: int) -> bool:
        """Whether the header of the block of ``page`` agrees with its entry."""
        return self.arena.header(self._offsets[page]) == (page, self.kept_length(page))

    # Recovery

    def adopt_pages(self, reached: bytearray) -> None:
        """Takes over the records and blocks of the ids whose flag in ``reached`` is set.

        Nobody refers to them yet. Everything else is free.
        """
        records, offsets, lengths = self.records, self._offsets, self._lengths
        records.ids.recover(reached)
        known = (page for page in range(1, records.ids.end) if reached[page])
        order = sorted(offsets[page] << 32 | page for page in known)
        found = [word & 0xFFFFFFFF for word in order]
        self._index.add_all(found)
        kept = [self.kept_length(page) for page in found]
        self.table_state.payload_bytes += sum(kept)
        self._set_sharers(records.ids.end)
        for page, length in zip(found, kept, strict=True):
            if form := records.form(page):
                self.rekept.note(page, Form(form), lengths[page], length)
        blocks = zip([offsets[page] for page in found], kept, strict=True)
        self.arena.recover(blocks, self._moved)

    def adopt_base(self, page: int, base: int) -> None:
        """Counts ``page``, which was found and adopted, as a difference from ``base``."""
        self._hold_base(base)
        self.rekept.found_base(page, base)

    def adopt_references(self, member: Member, pages: Sequence[int]) -> int:
        """Counts references that were found, ``DAMAGED`` ones too; what they are charged."""
        charged = distinct = 0
        lengths, sharers, add = self._lengths, self._sharers, member.counts.add
        member.counts.reserve(self.records.ids.end)
        for page in pages:
            if page == DAMAGED:
                member.damaged += 1
                charged += MIN_PAYLOAD
                continue
            length = lengths[page]
            charged += length
            if not add(page):
                sharers[page] += 1
                distinct += length
        member.state.references += len(pages)
        member.state.distinct_bytes += distinct
        return charged

    # Figures

    @property
    def metadata_bytes(self) -> int:
        """Memory of the entries, the index, and the members' counts."""
        return sum(self.memory().values())

    def memory(self) -> dict[str, int]:
        """The same by part."""
        records = self.records
        return {
            "entries": records.ids.reserved_bytes,
            "sharers": sys.getsizeof(self._sharers),
            "table_index": self._index.footprint_bytes,
            "reference_counts": sum(m.counts.metadata_bytes for m in self.members),
            "forms": self.rekept.metadata_bytes,
        }

    def columns(self) -> tuple[array[int], array[int]]:
        """Copies of the columns *number of sharing domains* and *length*."""
        end = self.records.ids.end
        return self._sharers[:end], self.records.copy_of_lengths(end)

    def entries(self) -> Iterator[Entry]:
        """The rows, by page id."""
        for page, sharers in enumerate(self._sharers):
            if sharers:
                yield Entry(page, sharers, self._lengths[page])

    # Inside

    def seed(self, group: int, encoding: int) -> int:
        """Secret seed of the fingerprints of ``group``'s pages in ``encoding``."""
        key = group << 8 | encoding
        seed = self._seeds.get(key)
        if seed is None:
            seed = self._seeds[key] = self.state.seed(group, encoding)
        return seed

    def seed_of(self, page: int) -> int:
        """Secret seed of the digests of whole pages of the group of ``page``."""
        return self.seed(self.records.groups[page], WHOLE_PAGE)

    def _hold_base(self, base: int) -> None:
        """One more difference from ``base``."""
        if not self.rekept.bases.add(base):
            self._sharers[base] += 1

    def _let_base_go(self, base: int) -> None:
        """One difference from ``base`` less."""
        if not self.rekept.bases.subtract(base):
            self._sharers[base] -= 1
            if not self._sharers[base]:
                self._delete(base, self._lengths[base])

    def _set_sharers(self, end: int) -> None:
        """Nobody shares any of the ids below ``end``."""
        self._sharers = array("H", bytes(2 * end))
        self._sharers_moved()

    def _sharers_moved(self) -> None:
        self.table_state.sharers, self.table_state.nr_sharers = self._sharers.buffer_info()

    def _insert(self, group: int, encoding: int, value: int, payload: bytes) -> int:
        records = self.records
        page = records.ids.take()
        try:
            offset = self.arena.put(page, payload, self._moved)
        except BaseException:
            records.ids.free(page)
            raise
        records.write(page, value, offset, len(payload), encoding, group)
        if page >= len(self._sharers):
            more = room_for(page + 1) - len(self._sharers)
            self._sharers.extend(array("H", bytes(2 * more)))
            self._sharers_moved()
        self.table_state.payload_bytes += len(payload)
        return page

    def _delete(self, page: int, length: int) -> None:
        base = 0
        if form := self.records.form(page):
            length, base = self.rekept.forget(page, Form(form), length)
        self._index.remove(page)
        self.arena.release(self._offsets[page])
        self.table_state.payload_bytes -= length
        if self.payload_bytes:
            self.records.ids.free(page)
        else:
            self.records.ids.forget()
            self._set_sharers(1)
        if base:
            self._let_base_go(base)

    def _moved(self, page: int, offset: int) -> None:
        self._offsets[page] = offset
