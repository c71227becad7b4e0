"""What 100,000 pages of a kernel compile cost, counted honestly, and how fast they are found."""

from __future__ import annotations

import random
import time

import pytest

from testbed.store.domain import Domain
from testbed.store.figures import memory
from testbed.store.recovery import open_table
from testbed.store.state import Life
from testbed.store.transport.interface import Batch
from testbed.store.verification import problems
from tests.unit.store.support import kernel_compile_lengths, tmpfs_folder

PAGES = 100_000
SHARED = 1000
LIVES = [Life(1, 0x1111), Life(2, 0x2222)]
CAPACITY = 256 << 20


filling: list[float] = []
"""Seconds of CPU that storing all of them in Python took."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with tmpfs_folder(tmp_path_factory.mktemp("state")) as folder:
        yield folder


@pytest.fixture
def opened(folder):
    """The table and the domains that hold 60 % and 40 % of the pages; made once."""
    table, domains = open_table(CAPACITY, ["all"], folder)
    if not domains:
        start = time.process_time()
        fill(table, domains)
        filling.append(time.process_time() - start)
    yield table, domains
    for domain in domains.values():
        domain.rows.close()
    table.state.close()


def fill(table, domains):
    pool = random.Random(3).randbytes(1 << 16)
    for life in LIVES:
        domains[life] = Domain(f"domU{life.domid}", life, table, table.state.make_rows(life, 0))
        domains[life].welcome(f"domU{life.domid}", CAPACITY)
    for number, length in enumerate(kernel_compile_lengths(PAGES)):
        start = number % 60_000
        payload = (number.to_bytes(4, "little") + pool[start : start + length - 4])[:length]
        payload += bytes(length - len(payload))
        one, two = domains.values()
        (one if number % 5 < 3 else two).store(number, 1, 1, payload)
        if number < SHARED:
            (two if number % 5 < 3 else one).store(number, 1, 1, payload)


def parts_of(table, domains) -> dict[str, int]:
    return memory(table, domains.values(), Batch().footprint_bytes)


def show(title: str, parts: dict[str, int], payload: int) -> float:
    print(f"\n{title}: payload {payload:,} bytes")
    for part, size in parts.items():
        print(f"  {part:18}{size:>13,}{size / PAGES:8.2f} a page")
    ratio = sum(parts.values()) / payload
    print(f"  {'footprint':18}{sum(parts.values()):>13,}  {ratio:.4f} of the payload")
    return ratio


def test_the_footprint_is_at_most_8_percent_more_than_the_payload(opened, folder):
    table, domains = opened
    lengths = sorted(kernel_compile_lengths(PAGES))
    assert 850 < lengths[PAGES // 2] < 950
    assert 950 < sum(lengths) / PAGES < 1050
    assert len(table) == PAGES
    parts = parts_of(table, domains)
    assert show("filled", parts, table.payload_bytes) <= 1.08
    files = {path.name: path.stat().st_blocks * 512 for path in folder.iterdir()}
    if folder.is_relative_to("/dev/shm"):
        assert files["arena"] == parts["arena"]
        assert files["entries"] == parts["entries"]
        assert sum(size for name, size in files.items() if name[:4] == "rows") == parts["rows"]


def test_they_are_found_again_quickly(opened, folder):
    opened[0].state.close()
    start = time.process_time()
    table, domains = open_table(CAPACITY, ["all"], folder)
    spent = time.process_time() - start
    print(f"\nrecovered {len(table)} pages in {spent:.2f} s of CPU, stored in {filling[0]:.2f} s")
    assert spent < filling[0], "to find a page again takes less than to store it"
    assert sorted(map(len, domains.values())) == [40_000 + 600, 60_000 + 400]
    assert domains.damaged == 0
    assert table.payload_bytes == opened[0].payload_bytes
    assert sum(parts_of(table, domains).values()) / table.payload_bytes <= 1.08
    for domain in domains.values():
        domain.rows.close()
    table.state.close()


def test_churn_does_not_eat_the_memory(opened):
    """A quarter of the pages are replaced by others; then the store has an idle moment."""
    table, domains = opened
    (one, two), draw = domains.values(), random.Random(5)
    for domain in (one, two):
        domain.welcome(domain.name, CAPACITY)
    for length in kernel_compile_lengths(PAGES // 4, seed=9):
        number = draw.randrange(PAGES)
        domain = one if number % 5 < 3 else two
        domain.store(number, 2, 1, draw.randbytes(length))
        table.tidy(1, idle=False)
    busy = show("after churn", parts_of(table, domains), table.payload_bytes)
    while table.tidy(64, idle=True):
        pass
    idle = show("after an idle moment", parts_of(table, domains), table.payload_bytes)
    print(f"  {table.arena.moves} blocks moved")
    assert busy <= 1.08
    assert idle <= 1.08
    assert problems(table, domains.values()) == []
