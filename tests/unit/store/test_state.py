"""The files that outlive the store: what is accepted, what is moved aside, what a kill leaves."""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
import sys
import time

import pytest

from testbed.store import state as state_module
from testbed.store.arena import GRANULE
from testbed.store.protocol import PAGE_SIZE, Flag, Status
from testbed.store.recovery import open_table
from testbed.store.state import Life
from testbed.store.verification import problems
from tests.unit.store.support import tmpfs_folder

LIFE = Life(3, 0xABC)


def payload(seed: int, length: int = 1000) -> bytes:
    return random.Random(seed).randbytes(length)


def page_of(bench, row: int) -> int:
    return bench.store.domains[LIFE].rows.commits[row] >> 32


def test_pages_are_found_again_by_the_next_store(bench):
    domain = bench.connect("domU1", life=LIFE)
    rows = {n: domain.store(n, payload(n)).page_id for n in range(30)}
    bench.stop()
    bench.start()
    assert bench.store.waiting() == [3]
    assert bench.store.stats()["waiting"] == {"3": 30}
    again = bench.connect("domU1", life=LIFE)
    assert bench.welcome == (((1 << 20) - 30_000) // PAGE_SIZE, 30)
    for n, row in rows.items():
        assert again.load(n, row)[1] == payload(n)
    assert bench.verify()["ok"]


def test_a_frontend_that_starts_over_goes_on(bench):
    domain = bench.connect("domU1", life=LIFE)
    row = domain.store(1, payload(1)).page_id
    assert bench.edge.lose("domU1") == LIFE
    assert bench.store.waiting() == [3]
    again = bench.connect("domU1", life=LIFE)
    assert again.load(1, row)[1] == payload(1)
    assert bench.store.waiting() == []


def test_another_epoch_of_the_domain_starts_empty(bench):
    bench.connect("domU1", life=LIFE).store(1, payload(1))
    bench.edge.lose("domU1")
    bench.connect("domU1", life=Life(3, 0xDEF))
    assert bench.welcome.kept_pages == 0
    assert len(bench.store.table) == 0
    assert [p.name for p in bench.config.state_path.glob("rows-*")] == [f"rows-3-{0xDEF:016x}"]


def test_a_store_that_is_sent_again_is_the_same(bench):
    domain = bench.connect("domU1", life=LIFE)
    first = domain.store(1, payload(1), generation=5)
    before = bench.store.table.payload_bytes, bench.store.domains[LIFE].charged_bytes
    again = domain.store(1, payload(1), generation=5, flags=Flag.AGAIN)
    assert (again.status, again.page_id) == (Status.OKAY, first.page_id)
    assert (bench.store.table.payload_bytes, bench.store.domains[LIFE].charged_bytes) == before
    assert bench.store.domains[LIFE].stores_processed == 2
    assert domain.load(1, again.page_id, generation=5)[1] == payload(1)


def test_a_store_that_is_sent_again_may_exceed_the_limit_but_not_the_quota(make_bench):
    bench = make_bench(quotas={"domU1": 2 * PAGE_SIZE})
    domain = bench.connect("domU1")
    assert domain.store(1, payload(1, 4000)).status == Status.OKAY
    assert domain.store(2, payload(2, 4000)).status == Status.OKAY
    assert domain.store(3, payload(3, 100)).status == Status.ENOSPC
    assert domain.store(3, payload(3, 100), flags=Flag.AGAIN).status == Status.OKAY
    assert domain.store(4, payload(4, 100), flags=Flag.AGAIN).status == Status.ENOSPC
    assert domain.store(1, payload(5, 4010), flags=Flag.AGAIN).status == Status.OKAY
    refused = domain.store(1, payload(5, 4096), flags=Flag.AGAIN)
    assert refused.status == Status.ENOSPC
    counters = bench.store.connections["domU1"].counters
    assert (counters.refused_store_limit, counters.refused_quota) == (1, 2)
    assert domain.load(1, refused.page_id)[0].status == Status.ENOENT  # it is out of date
    assert bench.verify()["ok"]


def damage(bench, part: str, row: int) -> None:
    table, page = bench.store.table, page_of(bench, row)
    rows, records = bench.store.domains[LIFE].rows, table.records
    if part == "page id beyond everything":
        rows.commits[row] = 0x7FFFFFFF << 32 | 1
    elif part == "page id of nothing":
        rows.commits[row] = 900 << 32 | 1
    elif part == "length":
        records.lengths[page] = 5000
    elif part == "offset beyond everything":
        records.offsets[page] = 0xFFFFFFF0
    elif part == "offset of another block":
        records.offsets[page] = records.offsets[page + 1]
    elif part == "offset inside a block":
        records.offsets[page] += 4
    elif part == "group":
        records.groups[page] = 7
    elif part == "block header":
        table.state.arena.write(records.offsets[page] * GRANULE, b"\xff\x00\x00\x00")
    elif part == "key":
        rows.keys[row] = rows.keys[row + 1]


PARTS = (
    "page id beyond everything",
    "page id of nothing",
    "length",
    "offset beyond everything",
    "offset of another block",
    "offset inside a block",
    "group",
    "block header",
)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_row_is_an_error_and_the_others_are_there(bench, part):
    domain = bench.connect("domU1", life=LIFE)
    rows = {n: domain.store(n, payload(n)).page_id for n in range(10)}
    damage(bench, part, rows[4])
    for _ in range(2):  # the second recovery finds what the first one marked
        bench.stop()
        bench.start()
        domain = bench.connect("domU1", life=LIFE)
        assert bench.store.recovered_damaged == 1
        assert bench.welcome.kept_pages == 10
        for n, row in rows.items():
            response, data = domain.load(n, row)
            assert response.status == (Status.EIO if n == 4 else Status.OKAY)
            assert n == 4 or data == payload(n)
        assert bench.verify()["ok"]
    domain.mark(held_pages=10)
    assert bench.store.peak.report()["mark"]["books"]["closed"]
    replaced = domain.store(4, payload(99), generation=2)
    assert domain.load(4, replaced.page_id, generation=2)[1] == payload(99)
    domain.invalidate_area(0)
    assert len(bench.store.table) == 0
    assert bench.verify()["ok"]


def test_two_rows_of_one_key_are_both_damaged(bench):
    domain = bench.connect("domU1", life=LIFE)
    rows = [domain.store(n, payload(n)).page_id for n in range(4)]
    damage(bench, "key", rows[1])
    bench.stop()
    bench.start()
    domain = bench.connect("domU1", life=LIFE)
    assert bench.store.recovered_damaged == 2
    assert domain.load(2, rows[1])[0].status == domain.load(2, rows[2])[0].status == Status.EIO
    assert domain.load(0, rows[0])[1] == payload(0)
    domain.invalidate_area(0)
    assert bench.verify()["ok"]


def test_a_flipped_bit_is_found(bench):
    domain = bench.connect("domU1", life=LIFE)
    rows = {n: domain.store(n, payload(n)).page_id for n in range(5)}
    page = page_of(bench, rows[3])
    offset, region = bench.store.table.block_of(page), bench.store.table.state.arena
    at = offset * GRANULE + 500
    region.write(at, bytes([region.read(at, at + 1)[0] ^ 0x10]))
    answer = bench.verify()
    assert answer["problems"] == [f"page {page}: its bytes have changed"]
    assert (answer["ok"], answer["pages"], answer["bytes"]) == (False, 5, 5000)
    assert domain.load(3, rows[3])[0].status == Status.EIO


def header(bench, **changes) -> None:
    path = bench.config.state_path / "header"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"magic": "x"}, "the header is not one"),
        ({"layout": 99}, "layout is 99, needed: 1"),
        ({"capacity_bytes": 4096}, "capacity_bytes is 4096, needed: 2097152"),
        ({"groups": 5}, "groups is not a list"),
        ({"secret": "00"}, "secret is not 64"),
    ],
)
def test_a_state_that_does_not_fit_is_moved_aside(bench, caplog, change, reason):
    bench.connect("domU1", life=LIFE).store(1, payload(1))
    bench.stop()
    header(bench, **change)
    with caplog.at_level(logging.ERROR):
        bench.start()
    (line,) = caplog.messages
    assert reason in line
    names = {path.name for path in bench.config.state_path.iterdir()}
    assert {"arena.bad", "entries.bad", "header.bad", "header", "arena"} <= names
    assert bench.store.domains == {}
    domain = bench.connect("domU1", life=LIFE)
    row = domain.store(1, payload(2)).page_id
    assert domain.load(1, row)[1] == payload(2)


def test_a_torn_header_is_moved_aside(bench):
    bench.connect("domU1", life=LIFE).store(1, payload(1))
    bench.stop()
    (bench.config.state_path / "header").write_bytes(b'{"magic": "\xff')
    bench.start()
    assert bench.store.domains == {}
    assert (bench.config.state_path / "header.bad").exists()


def test_a_file_that_holds_no_rows_is_dropped(bench):
    bench.connect("domU1", life=LIFE).store(1, payload(1))
    bench.stop()
    (bench.config.state_path / f"rows-9-{1:016x}").write_bytes(b"nonsense" * 1000)
    bench.start()
    assert set(bench.store.domains) == {LIFE}


def test_two_stores_do_not_share_a_folder(bench, monkeypatch):
    monkeypatch.setattr(state_module, "_LOCK_SECONDS", 0.05)
    with pytest.raises(BlockingIOError):
        open_table(bench.config.arena_bytes, [], bench.config.state_path)


CHILD = """
import os, random, sys
from pathlib import Path
from testbed.store.domain import Domain
from testbed.store.recovery import open_table
from testbed.store.state import Life

seed, folder = int(sys.argv[1]), Path(sys.argv[2])
draw = random.Random(seed)
table, domains = open_table(1 << 20, ["all"], folder)
for domid in (1, 2):
    life = Life(domid, domid)
    if life not in domains:
        domains[life] = Domain(f"domU{domid}", life, table, table.state.make_rows(life, 0))
    domains[life].welcome(f"domU{domid}", 300_000)
listed = [domains[Life(domid, domid)] for domid in (1, 2)]
os.write(1, b"ready\\n")
while True:
    who, key, generation = draw.randrange(2), draw.randrange(500), draw.randrange(1, 1 << 32)
    body = random.Random(key % 7 * 1000 + generation % 3).randbytes(16 + generation % 3000)
    domain, what = listed[who], draw.randrange(4)
    if what == 0:
        done = domain.discard(key)
        generation = 0
    elif domain.fits(key, len(body)):
        domain.store(key, generation, 1, body)
    else:
        domain.discard(key)
        generation = 0
    table.tidy(2, idle=bool(what & 1))
    os.write(1, b"%d %d %d\\n" % (who, key, generation))
"""


def test_a_process_that_is_killed_again_and_again_loses_nothing(tmp_path):
    """SIGKILL at any moment; what the process said it had done is there, every time."""
    draw = random.Random(1)
    model: dict[tuple[int, int], int] = {}
    with tmpfs_folder(tmp_path) as folder:
        for turn in range(12):
            command = [sys.executable, "-c", CHILD, str(turn), str(folder)]
            child = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert child.stdout.readline() == b"ready\n"
            reader = []
            end = time.monotonic() + draw.uniform(0.01, 0.15)
            while time.monotonic() < end:
                reader.append(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            reader += child.stdout.readlines()
            child.wait()
            for line in reader:
                who, key, generation = map(int, line.split())
                model[who, key] = generation
            check_files(folder, model)
    assert len(model) > 500


def check_files(folder, model) -> None:
    table, domains = open_table(1 << 20, ["all"], folder)
    assert domains.damaged == 0
    assert problems(table, domains.values()) == []
    found: dict[tuple[int, int], int] = {}
    for life, domain in domains.items():
        for row in domain.rows.used():
            key, generation = domain.key(row), domain.rows.commits[row] & 0xFFFFFFFF
            found[life.domid - 1, key] = generation
            body = random.Random(key % 7 * 1000 + generation % 3).randbytes(16 + generation % 3000)
            assert table.read(domain.find(key, generation, row)) == (1, body)
    expected = {key: generation for key, generation in model.items() if generation}
    different = {k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k)}
    assert len(different) <= 1  # the one that was under way
    for key in different:
        model[key] = found.get(key, 0)
    for domain in domains.values():
        domain.rows.close()
    table.state.close()
