"""The page sharing table: which compressed page is kept where, and by whom.

The paper's Figure 1 in two parts: *sharing pages* are the arena's blocks,
*sharing page entries* the rows of this table, with page id, number of sharing
domains and length. The columns are compact arrays, indexed by page id.

Two payloads are one page when sharing group, encoding and every byte agree.
The 64-bit fingerprint (XXH3 with a secret seed for each group and encoding)
only finds the candidate: the comparison decides. It also tells damaged
memory from a good page when the page is read again.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from testbed.store.arena import Arena
from testbed.store.hashindex import HashIndex

__all__ = ["DamagedPage", "Entry", "Member", "SharingTable", "fingerprint"]

Fingerprint = Callable[[bytes, int], int]


def _blake2b(payload: bytes, seed: int) -> int:
    digest = hashlib.blake2b(payload, digest_size=8, key=seed.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


fingerprint: Fingerprint
"""XXH3 where Debian's python3-xxhash is there, else BLAKE2b (10 times slower)."""
try:
    import xxhash
except ImportError:
    fingerprint = _blake2b
else:
    fingerprint = xxhash.xxh3_64_intdigest


class DamagedPage(Exception):
    """The kept bytes are not those that were stored."""


@dataclass(frozen=True)
class Entry:
    """One row of the table, for reports."""

    page_id: int
    sharing_domains: int
    length: int
    """Bytes of payload."""


@dataclass(slots=True, eq=False)
class Member:
    """One connected domain in the table's eyes; two are never equal."""

    group: int
    counts: array[int] = field(default_factory=lambda: array("I"))
    """How many references this domain has to each page, by page id."""
    references: int = 0
    distinct_bytes: int = 0
    """Payload of the distinct pages that this domain holds."""

    def count(self, page: int) -> int:
        """References to ``page``."""
        return self.counts[page] if page < len(self.counts) else 0


class SharingTable:
    """Entries over an arena, with tallies of its own for the books."""

    def __init__(self, arena: Arena, digest: Fingerprint = fingerprint) -> None:
        self.arena = arena
        self._digest = digest
        self._fingerprints = array("Q", [0])
        self._offsets = array("I", [0])
        self._lengths = array("H", [0])
        self._sharers = array("H", [0])
        self._groups = array("H", [0])
        self._encodings = array("B", [0])
        self._free_ids = array("I")
        self._index = HashIndex(self._fingerprints)
        self._members: list[Member] = []
        self._group_numbers: dict[str, int] = {}
        self._seeds: dict[int, int] = {}
        self.payload_bytes = 0
        """Payload of the distinct pages held, counted by the table."""
        self.shared_hits = 0
        """Payloads that were found to be kept already."""

    def __len__(self) -> int:
        """Distinct pages held."""
        return len(self._index)

    # Domains

    def join(self, group: str) -> Member:
        """A new member of the sharing group named ``group``."""
        number = self._group_numbers.setdefault(group, len(self._group_numbers))
        member = Member(number)
        self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """Forgets ``member``, which must hold nothing any more."""
        if member.references:
            raise ValueError(f"a member with {member.references} references cannot leave")
        self._members.remove(member)

    # Pages

    def take(self, member: Member, encoding: int, payload: bytes) -> int:
        """One more reference of ``member`` to the page with these bytes; its id.

        ``payload`` must be private: what is compared here is what is kept.
        Raises ``ArenaFull`` when it is new and the arena's capacity is used up.
        """
        value = self._digest(payload, self._seed(member.group, encoding))
        length = len(payload)
        for page in self._index.matches(value):
            if (
                self._lengths[page] == length
                and self._groups[page] == member.group
                and self._encodings[page] == encoding
                and self.arena.get(self._offsets[page], length) == payload
            ):
                self.shared_hits += 1
                break
        else:
            page = self._insert(member.group, encoding, value, payload)
        counts = member.counts
        if page >= len(counts):
            counts.frombytes(bytes(counts.itemsize * (page + 1 + page // 8 - len(counts))))
        if not counts[page]:
            self._sharers[page] += 1
            member.distinct_bytes += length
        counts[page] += 1
        member.references += 1
        return page

    def drop(self, member: Member, page: int) -> int:
        """One reference of ``member`` to ``page`` less; returns the payload's length.

        Raises ``KeyError`` when ``member`` has none.
        """
        if not member.count(page):
            raise KeyError(page)
        length = self._lengths[page]
        member.counts[page] -= 1
        member.references -= 1
        if not member.counts[page]:
            member.distinct_bytes -= length
            self._sharers[page] -= 1
            if not self._sharers[page]:
                self._delete(page)
        return length

    def read(self, page: int) -> tuple[int, bytes]:
        """Encoding and payload of ``page``; ``DamagedPage`` if its bytes changed."""
        encoding = self._encodings[page]
        payload = self.arena.get(self._offsets[page], self._lengths[page])
        seed = self._seed(self._groups[page], encoding)
        if self._digest(payload, seed) != self._fingerprints[page]:
            raise DamagedPage(f"page {page}")
        return encoding, payload

    def length(self, page: int) -> int:
        """Bytes of the payload of ``page``."""
        return self._lengths[page]

    def maintain(self) -> None:
        """Moves the arena's blocks together when that gives much memory back."""
        if self.arena.worth_compacting():
            self.arena.compact(self._moved)

    # Figures

    @property
    def metadata_bytes(self) -> int:
        """Memory of the entries, the index, and the members' counts."""
        columns = (
            self._fingerprints,
            self._offsets,
            self._lengths,
            self._sharers,
            self._groups,
            self._encodings,
            self._free_ids,
        )
        own = sum(map(sys.getsizeof, columns)) + self._index.footprint_bytes
        return own + sum(sys.getsizeof(member.counts) for member in self._members)

    def columns(self) -> tuple[array[int], array[int]]:
        """Copies of the columns *number of sharing domains* and *length*."""
        return self._sharers[:], self._lengths[:]

    def entries(self) -> Iterator[Entry]:
        """The rows, by page id."""
        for page, sharers in enumerate(self._sharers):
            if sharers:
                yield Entry(page, sharers, self._lengths[page])

    def problems(self) -> list[str]:
        """Recomputes every tally and every fingerprint; says what does not agree."""
        found: list[str] = []
        payload = 0
        for entry in self.entries():
            page = entry.page_id
            payload += entry.length
            holders = sum(1 for member in self._members if member.count(page))
            if holders != entry.sharing_domains:
                found.append(f"page {page}: {entry.sharing_domains} sharers, {holders} holders")
            try:
                self.read(page)
            except DamagedPage:
                found.append(f"page {page}: its bytes have changed")
        blocks = {owner: (at, length) for at, owner, length in self.arena.blocks_in_use()}
        rows = {e.page_id: (self._offsets[e.page_id], e.length) for e in self.entries()}
        if blocks != rows:
            found.append(f"{len(rows)} entries, {len(blocks)} blocks, not the same")
        if payload != self.payload_bytes or self.arena.payload_bytes != self.payload_bytes:
            found.append(
                f"payload bytes: entries {payload}, table {self.payload_bytes}, "
                f"arena {self.arena.payload_bytes}"
            )
        for member in self._members:
            if sum(member.counts) != member.references:
                found.append(f"{sum(member.counts)} references, {member.references} tallied")
        return found

    # Inside

    def _seed(self, group: int, encoding: int) -> int:
        key = group << 8 | encoding
        seed = self._seeds.get(key)
        if seed is None:
            seed = self._seeds[key] = secrets.randbits(64)
        return seed

    def _insert(self, group: int, encoding: int, value: int, payload: bytes) -> int:
        page = self._free_ids.pop() if self._free_ids else self._append_row()
        try:
            offset = self.arena.put(page, payload, self._moved)
        except BaseException:
            self._free_ids.append(page)
            raise
        self._offsets[page] = offset
        self._fingerprints[page] = value
        self._lengths[page] = len(payload)
        self._groups[page] = group
        self._encodings[page] = encoding
        self._index.add(page)
        self.payload_bytes += len(payload)
        return page

    def _append_row(self) -> int:
        page = len(self._offsets)
        self._fingerprints.append(0)
        self._offsets.append(0)
        self._lengths.append(0)
        self._sharers.append(0)
        self._groups.append(0)
        self._encodings.append(0)
        return page

    def _delete(self, page: int) -> None:
        self._index.remove(page)
        self.arena.release(self._offsets[page])
        self.payload_bytes -= self._lengths[page]
        self._free_ids.append(page)

    def _moved(self, page: int, offset: int) -> None:
        self._offsets[page] = offset
