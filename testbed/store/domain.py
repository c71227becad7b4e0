"""What one connected domain holds: its keys, its quota, its credits."""

from __future__ import annotations

import secrets
import sys
from array import array

from testbed.store.hashindex import HashIndex
from testbed.store.protocol import MAX_SWAP_TYPES, OFFSET_BITS, PAGE_SIZE
from testbed.store.table import SharingTable

__all__ = ["Domain", "pack_key"]

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

    The columns are compact arrays, indexed by row. Keys are kept multiplied
    by a secret odd number, which mixes them for the index, loses nothing and
    keeps a frontend from choosing keys that collide.
    """

    def __init__(self, name: str, table: SharingTable, group: str, quota_bytes: int) -> None:
        """A domain that may be charged up to ``quota_bytes`` of payload."""
        self.name = name
        self.table = table
        self.quota_bytes = quota_bytes
        self.member = table.join(group)
        self.charged_bytes = 0
        self.stores_processed = 0
        """STORE requests answered since connection, failed ones included."""
        self._mixer = secrets.randbits(64) | 1
        self._unmixer = pow(self._mixer, -1, 1 << 64)
        self._mixed = array("Q", [0])
        self._generations = array("I", [0])
        self._pages = array("I", [0])  # 0: the row is free
        self._free_rows = array("I")
        self._index = HashIndex(self._mixed)

    def __len__(self) -> int:
        """Keys, and so references, held."""
        return len(self._index)

    @property
    def store_limit(self) -> int:
        """STORE requests, counted from connection, that are taken in all.

        It never falls: a STORE adds one to the first term and takes at most
        one from the second.
        """
        return self.stores_processed + (self.quota_bytes - self.charged_bytes) // PAGE_SIZE

    @property
    def metadata_bytes(self) -> int:
        """Memory of the map."""
        columns = (self._mixed, self._generations, self._pages, self._free_rows)
        return sum(map(sys.getsizeof, columns)) + self._index.footprint_bytes

    def store(self, key: int, generation: int, encoding: int, payload: bytes) -> int:
        """Keeps ``payload`` under ``key`` instead of what was there; the wire's page id."""
        row = self._find(key)
        if row:
            self.charged_bytes -= self.table.drop(self.member, self._pages[row])
            self._pages[row] = 0
        try:
            page = self.table.take(self.member, encoding, payload)
        except BaseException:
            if row:
                self._free(row)
            raise
        if not row:
            row = self._new_row(key)
        self._pages[row] = page
        self._generations[row] = generation
        self.charged_bytes += len(payload)
        return row

    def find(self, key: int, generation: int, row: int) -> int:
        """The table's id of the page kept under ``key``, or 0.

        0 also when ``row`` (the wire's page id) or ``generation`` are not
        those of the key's last STORE.
        """
        if (
            not 0 < row < len(self._pages)
            or self._mixed[row] != key * self._mixer & _WORD
            or self._generations[row] != generation
        ):
            return 0
        return self._pages[row]

    def discard(self, key: int) -> bool:
        """Drops what is kept under ``key``; whether there was anything."""
        row = self._find(key)
        if row:
            self._drop(row)
        return row != 0

    def invalidate(self, key: int, generation: int) -> bool:
        """Drops ``key`` if ``generation`` is that of its last STORE; whether it was."""
        row = self._find(key)
        if not row or self._generations[row] != generation:
            return False
        self._drop(row)
        return True

    def invalidate_area(self, swap_type: int) -> int:
        """Drops every key of ``swap_type``; how many there were."""
        rows = [
            row
            for row, page in enumerate(self._pages)
            if page and (self._mixed[row] * self._unmixer & _WORD) >> OFFSET_BITS == swap_type
        ]
        for row in rows:
            self._drop(row)
        return len(rows)

    def leave(self) -> int:
        """Drops everything and leaves the table; how many references there were."""
        rows = [row for row, page in enumerate(self._pages) if page]
        for row in rows:
            self._drop(row)
        self.table.leave(self.member)
        return len(rows)

    def problems(self) -> list[str]:
        """Recomputes the account from the map; says what does not agree."""
        found: list[str] = []
        pages = [page for page in self._pages if page]
        charged = sum(self.table.length(page) for page in pages)
        if charged != self.charged_bytes:
            found.append(f"{self.name}: charged {self.charged_bytes}, holds {charged} bytes")
        if not len(pages) == len(self) == self.member.references:
            found.append(
                f"{self.name}: {len(pages)} rows, {len(self)} keys, "
                f"{self.member.references} references"
            )
        return found

    def _find(self, key: int) -> int:
        return self._index.first(key * self._mixer & _WORD)

    def _new_row(self, key: int) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
        else:
            row = len(self._pages)
            self._mixed.append(0)
            self._generations.append(0)
            self._pages.append(0)
        self._mixed[row] = key * self._mixer & _WORD
        self._index.add(row)
        return row

    def _drop(self, row: int) -> None:
        self.charged_bytes -= self.table.drop(self.member, self._pages[row])
        self._free(row)

    def _free(self, row: int) -> None:
        self._pages[row] = 0
        self._index.remove(row)
        self._free_rows.append(row)
