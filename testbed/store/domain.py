"""What one domain holds: its keys, its quota, its credits."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.store.hashindex import HashIndex
from testbed.store.layout import NO_LIMIT, DomainState, address_of_structure
from testbed.store.protocol import MAX_SWAP_TYPES, OFFSET_BITS, PAGE_SIZE, Encoding
from testbed.store.rows import Rows
from testbed.store.state import Life
from testbed.store.table import SharingTable

__all__ = ["Domain", "pack_key"]

_GENERATION = 0xFFFFFFFF
_WORD = (1 << 64) - 1


def pack_key(swap_type: int, offset: int) -> int:
    """A key as one 64-bit word; ``ValueError`` when it is out of bounds."""
    if swap_type >= MAX_SWAP_TYPES or offset >> OFFSET_BITS:
        raise ValueError(f"key ({swap_type}, {offset})")
    return swap_type << OFFSET_BITS | offset


class Domain:
    """The map from a domain's keys to pages, and its account.

    A key's *page id on the wire* is its row in this map, never the table's
    id: rows depend on what this domain did alone, so that a reply does not
    tell whether another domain has the page. Every held page is charged with
    its full payload, shared or not, for the same reason.

    Keys are kept multiplied by a secret odd number, which mixes them for the
    index, loses nothing and keeps a frontend from choosing keys that collide.

    The rows outlive the process; the index and the account are derived from
    them. What an operation does takes effect with one store to a row's commit
    word: before it nothing has happened, after it everything has.
    """

    def __init__(
        self, name: str, life: Life, table: SharingTable, rows: Rows, quota_bytes: int = 0
    ) -> None:
        """A domain without keys that may be charged up to ``quota_bytes`` of payload."""
        self.name = name
        self.life = life
        self.table = table
        self.rows = rows
        self.member = table.join(rows.group)
        self._keys = rows.keys
        self._commits = rows.commits
        self._mixer = table.state.mixer(life)
        self._unmixer = pow(self._mixer, -1, 1 << 64)
        self._index = HashIndex(rows.keys)
        self.state = DomainState(
            table=address_of_structure(table.table_state),
            member=address_of_structure(self.member.state),
            rows=address_of_structure(rows.ids.state),
            index=address_of_structure(self._index.state),
            mixer=self._mixer,
            seeds=tuple(table.seed(rows.group, encoding) for encoding in Encoding),
            quota_bytes=quota_bytes,
            frozen_limit=NO_LIMIT,
        )

    def __len__(self) -> int:
        """Keys, and so references, held."""
        return len(self._index)

    @property
    def quota_bytes(self) -> int:
        """Payload that it may be charged for."""
        return int(self.state.quota_bytes)

    @property
    def charged_bytes(self) -> int:
        """Payload of every page that it holds, shared or not."""
        return int(self.state.charged_bytes)

    @property
    def stores_processed(self) -> int:
        """STORE requests answered since connection, failed ones included."""
        return int(self.state.stores_processed)

    @stores_processed.setter
    def stores_processed(self, count: int) -> None:
        self.state.stores_processed = count

    # Credits

    @property
    def store_limit(self) -> int:
        """STORE requests, counted from connection, that are taken in all.

        It never falls: a STORE adds one to the first term and takes at most
        one from the second.
        """
        state = self.state
        if state.frozen_limit != NO_LIMIT:
            return int(state.frozen_limit)
        left = state.quota_bytes - state.charged_bytes
        return int(state.stores_processed + (left // PAGE_SIZE if left > 0 else 0))

    @property
    def within_limit(self) -> bool:
        """Whether the next STORE is one of those that are taken."""
        state = self.state
        if state.frozen_limit != NO_LIMIT:
            return bool(state.frozen_limit > state.stores_processed)
        return bool(state.quota_bytes - state.charged_bytes >= PAGE_SIZE)

    def welcome(self, name: str, quota_bytes: int) -> None:
        """The frontend connects, perhaps again: its credits start anew."""
        self.name = name
        self.state.quota_bytes = quota_bytes
        self.state.stores_processed = 0
        self.state.frozen_limit = NO_LIMIT

    def freeze(self, limit: int | None = None) -> None:
        """The store limit rises no more; it stays what it is, or is ``limit``."""
        self.state.frozen_limit = self.store_limit if limit is None else limit

    def fits(self, key: int, length: int) -> bool:
        """Whether a payload of ``length`` bytes under ``key`` stays within the quota."""
        row = self._index.first(key * self._mixer & _WORD)
        old = self.table.charge(self._commits[row] >> 32) if row else 0
        return self.charged_bytes - old + length <= self.quota_bytes

    # Pages

    def store(self, key: int, generation: int, encoding: int, payload: bytes) -> int:
        """Keeps ``payload`` under ``key`` instead of what was there; the wire's page id."""
        mixed = key * self._mixer & _WORD
        slot = self._index.locate(mixed)
        row = self._index.slots[slot]
        fresh = 0 if row else self.rows.ids.take()
        try:
            page = self.table.take(self.member, encoding, payload)
        except BaseException:
            if row:
                self._drop(row, slot)
            else:
                self.rows.ids.free(fresh)
            raise
        self.state.charged_bytes += len(payload)
        if row:
            old = self._commits[row] >> 32
            self._commits[row] = page << 32 | generation
            self.state.charged_bytes -= self.table.drop(self.member, old)
            return row
        self._keys[fresh] = mixed
        self._commits[fresh] = page << 32 | generation
        self._index.fill(slot, fresh)
        return fresh

    def find(self, key: int, generation: int, row: int) -> int:
        """The table's id of the page kept under ``key``, or 0.

        0 also when ``row`` (the wire's page id) or ``generation`` are not
        those of the key's last STORE.
        """
        if not 0 < row < self.rows.ids.end or self._keys[row] != key * self._mixer & _WORD:
            return 0
        commit = self._commits[row]
        return commit >> 32 if commit & _GENERATION == generation else 0

    def discard(self, key: int) -> bool:
        """Drops what is kept under ``key``; whether there was anything."""
        slot = self._index.locate(key * self._mixer & _WORD)
        row = self._index.slots[slot]
        if row:
            self._drop(row, slot)
        return row != 0

    def invalidate(self, key: int, generation: int) -> bool:
        """Drops ``key`` if ``generation`` is that of its last STORE; whether it was."""
        slot = self._index.locate(key * self._mixer & _WORD)
        row = self._index.slots[slot]
        if not row or self._commits[row] & _GENERATION != generation:
            return False
        self._drop(row, slot)
        return True

    def invalidate_area(self, swap_type: int) -> int:
        """Drops every key of ``swap_type``; how many there were."""
        doomed = [row for row in self.rows.used() if self.key(row) >> OFFSET_BITS == swap_type]
        for row in doomed:
            self._drop(row)
        return len(doomed)

    def key(self, row: int) -> int:
        """The key of a row that is in use."""
        return self._keys[row] * self._unmixer & _WORD

    def leave(self) -> int:
        """Drops everything and leaves the table; how many references there were.

        The file of the rows goes first: that is the moment from which they
        reach nothing.
        """
        self.table.state.drop_rows(self.life)
        used = self.rows.used()
        for row in used:
            self.table.drop(self.member, self._commits[row] >> 32)
        self.table.leave(self.member)
        self.rows.close()
        return len(used)

    # Recovery

    def adopt(self, found: Sequence[tuple[int, int]]) -> None:
        """Takes over rows that were found, each with its page: ``DAMAGED`` if it was lost."""
        commits = self._commits
        for row, page in found:
            commit = commits[row]
            if commit >> 32 != page:
                commits[row] = page << 32 | commit & _GENERATION
        pages = [page for _, page in found]
        self.state.charged_bytes += self.table.adopt_references(self.member, pages)
        self._index.add_all([row for row, _ in found])

    # Figures

    @property
    def metadata_bytes(self) -> int:
        """Memory of the map."""
        return sum(self.memory().values())

    def memory(self) -> dict[str, int]:
        """The same by part."""
        return {
            "rows": self.rows.ids.reserved_bytes,
            "key_index": self._index.footprint_bytes,
        }

    def _drop(self, row: int, slot: int | None = None) -> None:
        """Frees ``row``, which is in ``slot`` of the index."""
        page = self._commits[row] >> 32
        self._commits[row] = 0
        if slot is None:
            self._index.remove(row)
        else:
            self._index.clear(slot)
        self.state.charged_bytes -= self.table.drop(self.member, page)
        if self.charged_bytes:
            self.rows.ids.free(row)
        else:
            self.rows.ids.forget(first=1)
