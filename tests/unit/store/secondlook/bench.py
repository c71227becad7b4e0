"""A table with domains, and a second look whose clock is the test's."""

from __future__ import annotations

import lz4.block

from testbed.store.domain import Domain
from testbed.store.protocol import Encoding
from testbed.store.recovery import open_table
from testbed.store.secondlook.look import SecondLook
from testbed.store.secondlook.settings import Settings
from testbed.store.state import Life
from testbed.store.verification import problems
from tests.unit.store.secondlook.pages import process_page

MOVES = [{"heap": 77 * n, "mappings": -1234 * n, "stack": 5 * n} for n in range(4)]


SECRET = bytes(range(32))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Store:
    """A table with domains and a second look whose clock is the test's."""

    def __init__(self, folder=None, groups=("a", "a", "b"), **settings) -> None:
        self.folder, self.groups, self.clock = folder, groups, Clock()
        self.settings = {"cold_seconds": 5.0, "near_twins": False, "recompress": False} | settings
        self.open()

    def open(self) -> None:
        self.table, found = open_table(1 << 20, sorted(set(self.groups)), self.folder)
        state = self.table.state
        # or which pages are taken to resemble each other would be drawn anew in every run
        state._secret = SECRET
        state._write_header()
        self.domains = []
        for number, group in enumerate(self.groups, 1):
            life = Life(number, 1)
            if life not in found:
                rows = state.make_rows(life, state.group(group))
                found[life] = Domain(f"domU{number}", life, self.table, rows)
            found[life].welcome(f"domU{number}", 1 << 18)
            self.domains.append(found[life])
        self.look = SecondLook(self.table, Settings(**self.settings), self.clock)

    def reopen(self) -> None:
        """Another store takes over the files."""
        for domain in self.domains:
            domain.rows.close()
        self.table.state.close()
        self.open()

    def put(self, domain: int, key: int, page: bytes, encoding=Encoding.LZ4) -> int:
        payload = lz4.block.compress(page, store_size=False) if encoding else page
        return self.domains[domain].store(key, 1, encoding, payload)

    def get(self, domain: int, key: int, row: int) -> bytes:
        page = self.domains[domain].find(key, 1, row)
        encoding, payload = self.table.read(page)
        if encoding == Encoding.LZ4:
            payload = lz4.block.decompress(payload, uncompressed_size=4096)
        return payload

    def look_at_all(self) -> None:
        """Until every page was cold and looked at."""
        for _ in range(5):
            self.clock.now += 6.0
            while self.look.wait() is not None:
                self.look.step()
                self.clock.now += 0.5
        assert problems(self.table, self.domains) == []

    def forms(self) -> list[int]:
        return [self.table.records.form(entry.page_id) for entry in self.table.entries()]


def near(number: int, moved: dict[str, int]) -> bytes:
    """A page that differs from its twins in a few bytes, too."""
    page = bytearray(process_page(1, moved))
    page[number * 64 : number * 64 + 9] = b"different"
    return bytes(page)
