"""What a frontend can ask, over the whole path: ring, dispatcher, table."""

from __future__ import annotations

import json
import os
import random

import pytest

from testbed.store.protocol import COUNTERS, MARK_HEADER, PAGE_SIZE, Encoding, Op, Status
from tests.unit.store.support import request


def payload(seed: int, length: int = 1000) -> bytes:
    return random.Random(seed).randbytes(length)


def test_what_was_stored_comes_back(bench):
    domain = bench.connect("domU1")
    answers = {n: domain.store(n, payload(n, 16 + n * 7)) for n in range(100)}
    for n, answer in answers.items():
        response, data = domain.load(n, answer.page_id)
        assert (response.status, response.encoding) == (Status.OKAY, Encoding.LZ4)
        assert data == payload(n, 16 + n * 7)
    assert bench.verify()["ok"]


def test_a_raw_page_is_4096_bytes(bench):
    domain = bench.connect("domU1")
    stored = domain.store(1, payload(1, PAGE_SIZE), encoding=Encoding.RAW)
    assert domain.load(1, stored.page_id)[1] == payload(1, PAGE_SIZE)
    assert domain.store(2, payload(1, 4095), encoding=Encoding.RAW).status == Status.EINVAL


def test_equal_pages_of_two_domains_are_kept_once(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    first = one.store(10, payload(1))
    before = bench.store.table.payload_bytes
    second = two.store(20, payload(1))
    assert bench.store.table.payload_bytes == before
    (entry,) = bench.store.table.entries()
    assert (entry.sharing_domains, entry.length) == (2, 1000)
    one.invalidate((0, 10, 1))
    assert two.load(20, second.page_id)[1] == payload(1)
    assert one.load(10, first.page_id)[0].status == Status.ENOENT
    two.invalidate((0, 20, 1))
    assert len(bench.store.table) == bench.arena.payload_bytes == 0


def test_replies_do_not_tell_what_others_have(make_bench):
    """The same requests get the same bytes back, whether pages are shared or not."""
    alone, shared = make_bench(), make_bench()
    other = shared.connect("domU2")
    for n in range(20):
        other.store(n, payload(n))

    def conversation(bench):
        domain = bench.connect("domU1")
        replies = [domain.store(n, payload(n % 15)) for n in range(30)]
        replies += [domain.invalidate((0, 3, 1)), domain.store(3, payload(99))]
        return replies

    assert conversation(alone) == conversation(shared)


def test_domains_of_different_groups_do_not_share(make_bench):
    bench = make_bench(groups={"domU1": "a", "domU2": "b"})
    bench.connect("domU1").store(1, payload(1))
    bench.connect("domU2").store(1, payload(1))
    assert len(bench.store.table) == 2


def test_encoding_is_part_of_a_pages_identity(bench):
    domain = bench.connect("domU1")
    domain.store(1, payload(1), encoding=Encoding.LZ4)
    domain.store(2, payload(1), encoding=Encoding.ZSTD)
    assert len(bench.store.table) == 2


def test_a_domain_reads_only_what_it_stored(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    stored = one.store(1, payload(1))
    two.store(2, payload(2))
    assert two.load(1, stored.page_id)[0].status == Status.ENOENT
    assert two.load(2, 0)[0].status == Status.ENOENT
    assert two.load(2, 0xFFFFFFFF)[0].status == Status.ENOENT


def test_a_second_store_replaces_the_first(bench):
    domain = bench.connect("domU1")
    domain.store(1, payload(1), generation=1)
    second = domain.store(1, payload(2), generation=2)
    assert domain.load(1, second.page_id, generation=2)[1] == payload(2)
    assert domain.load(1, second.page_id, generation=1)[0].status == Status.ENOENT
    assert len(bench.store.table) == 1


def test_a_late_invalidation_does_not_hit_a_newer_page(bench):
    domain = bench.connect("domU1")
    stored = domain.store(1, payload(1), generation=2)
    assert domain.invalidate((0, 1, 1)).status == Status.OKAY
    assert domain.load(1, stored.page_id, generation=2)[1] == payload(1)
    counters = bench.store.connections["domU1"].counters
    assert (counters.invalidates, counters.invalidates_stale) == (0, 1)


def test_a_batch_of_256_keys_is_dropped_at_once(bench):
    domain = bench.connect("domU1")
    for n in range(256):
        domain.store(n, payload(n, 40))
    assert domain.invalidate(*((0, n, 1) for n in range(256))).status == Status.OKAY
    assert len(bench.store.table) == 0


def test_an_area_is_dropped_alone(bench):
    domain = bench.connect("domU1")
    domain.store(1, payload(1), swap_type=0)
    kept = domain.store(1, payload(2), swap_type=3)
    domain.invalidate_area(0)
    assert domain.load(1, kept.page_id, swap_type=3)[1] == payload(2)
    assert len(bench.store.table) == 1


def test_requests_of_one_batch_see_each_other_in_order(bench):
    """A page that is dropped and overwritten after its LOAD still arrives."""
    domain = bench.connect("domU1")
    stored = domain.store(1, payload(1))
    domain.write_page(4, payload(2))
    domain.write_page(5, b"".join(v.to_bytes(n, "little") for v, n in ((0, 4), (1, 4), (1, 8))))
    responses = domain.ask(
        request(Op.LOAD, data_page=3, offset=1, generation=1, page_id=stored.page_id),
        request(Op.INVALIDATE, data_page=5, length=16),
        request(Op.STORE, encoding=1, data_page=4, length=1000, offset=2, generation=1),
    )
    assert [response.status for response in responses] == [0, 0, 0]
    assert domain.read_page(3, 1000) == payload(1)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        request(0),
        request(6),
        request(255),
        request(Op.STORE, encoding=1, length=15),
        request(Op.STORE, encoding=1, length=4097),
        request(Op.STORE, encoding=4, length=100),
        request(Op.STORE, encoding=1, length=100, data_page=32),
        request(Op.STORE, encoding=1, length=100, swap_type=32),
        request(Op.STORE, encoding=1, length=100, offset=1 << 58),
        request(Op.LOAD, data_page=32),
        request(Op.LOAD, swap_type=0xFFFF),
        request(Op.INVALIDATE, length=8),
        request(Op.INVALIDATE, length=4112),
        request(Op.INVALIDATE, length=16, data_page=99),
        request(Op.INVALIDATE_AREA, swap_type=32),
        request(Op.MARK, length=8),
        request(Op.MARK, length=4097),
        request(Op.MARK, length=216, data_page=32),
    ],
)
def test_a_malformed_request_is_refused_and_counted(bench, bytes_sent):
    domain = bench.connect("domU1")
    domain.store(1, payload(1))
    assert domain.ask(bytes_sent)[0].status == Status.EINVAL
    assert bench.store.connections["domU1"].counters.refused_malformed == 1
    assert bench.verify()["ok"]


def test_a_malformed_store_leaves_no_old_page_behind(bench):
    domain = bench.connect("domU1")
    domain.store(1, payload(1))
    domain.ask(request(Op.STORE, encoding=1, length=5, offset=1))
    assert len(bench.store.connections["domU1"].domain) == 0


def test_a_store_within_the_limit_never_fails_and_one_beyond_does(make_bench):
    bench = make_bench(quotas={"domU1": 10 * PAGE_SIZE})
    domain = bench.connect("domU1")
    assert bench.welcome.store_limit == 10
    sent, limit = 0, bench.welcome.store_limit
    while sent < limit:
        response = domain.store(sent, payload(sent, 3000))
        sent += 1
        assert response.status == Status.OKAY
        assert response.store_limit >= limit
        limit = response.store_limit
    beyond = domain.store(sent, payload(sent, 3000))
    assert beyond.status == Status.ENOSPC
    assert beyond.store_limit == limit + 1  # the failed one counts
    assert domain.invalidate((0, 0, 1), (0, 1, 1)).store_limit > limit + 1
    assert bench.verify()["ok"]


@pytest.mark.parametrize("bit", range(0, 128, 3))
def test_any_bit_of_an_entry_may_flip_and_its_page_is_never_another(bench, bit):
    """The entry's two words lie in memory like everything else: one load in error, no more."""
    domain = bench.connect("domU1")
    stored = [domain.store(n, payload(n)) for n in range(3)]
    entries = bench.store.table.state.entries.column("Q")
    entries[2 * 2 + bit // 64] ^= 1 << bit % 64
    for n, response in enumerate(stored):
        answer, found = domain.load(n, response.page_id)
        assert answer.status == (Status.EIO if n == 1 else Status.OKAY)
        assert n == 1 or found == payload(n)
    entries[2 * 2 + bit // 64] ^= 1 << bit % 64
    assert domain.load(1, stored[1].page_id)[1] == payload(1)


@pytest.mark.parametrize("page", [4, 70, 1 << 20, 0xFFFFFFFE])
def test_a_row_that_reaches_nothing_is_an_error(bench, page):
    domain = bench.connect("domU1")
    row = domain.store(1, payload(1)).page_id
    commits = bench.store.connections["domU1"].domain.rows.commits
    was = commits[row]
    commits[row] = page << 32 | was & 0xFFFFFFFF
    assert domain.load(1, row)[0].status == Status.EIO
    commits[row] = was


def test_a_damaged_page_is_an_error_not_old_bytes(bench):
    domain = bench.connect("domU1")
    stored = domain.store(1, payload(1))
    ((offset, _, _),) = bench.arena.blocks_in_use()
    region = bench.store.table.state.arena
    byte = region.read(offset * 8 + 100, offset * 8 + 101)
    region.write(offset * 8 + 100, bytes([byte[0] ^ 1]))
    assert domain.load(1, stored.page_id)[0].status == Status.EIO
    assert not bench.verify()["ok"]


def test_a_mark_closes_the_books_in_the_rings_order(bench):
    domain = bench.connect("domU1")
    for n in range(12):
        domain.store(n, payload(n % 4))
    domain.mark(held_pages=12, same_filled_pages=5, frontend_bytes=70000, guest_nanoseconds=2**40)
    record = json.loads(bench.config.records.read_text().splitlines()[-1])
    assert record["kind"] == "mark"
    assert record["counters"].keys() == set(COUNTERS)
    assert record["counters"]["guest_nanoseconds"] == 2**40
    assert record["books"] == {
        "held_pages": 12,
        "references": 12,
        "table_bytes": 4000,
        "arena_bytes": 4000,
        "closed": True,
    }
    figures = record["domains"]["domU1"]
    assert figures["logical_pages"] == 17
    assert (figures["charged_bytes"], figures["distinct_bytes"]) == (12000, 4000)
    table = record["table"]
    assert table["footprint_bytes"] >= table["arena_rounded_bytes"] > table["payload_bytes"]
    domain.mark(held_pages=11)
    record = json.loads(bench.config.records.read_text().splitlines()[-1])
    assert record["books"]["closed"] is False


def test_a_mark_of_another_version_is_refused(bench):
    domain = bench.connect("domU1")
    domain.write_page(3, MARK_HEADER.pack(2, len(COUNTERS)) + bytes(8 * len(COUNTERS)))
    length = MARK_HEADER.size + 8 * len(COUNTERS)
    assert domain.ask(request(Op.MARK, data_page=3, length=length))[0].status == Status.EINVAL


def test_a_record_fits_the_ring_buffer_line(bench):
    largest = dict.fromkeys(COUNTERS, 2**40)
    one, two = bench.connect("domU1"), bench.connect("domU2")
    one.mark(**largest)
    two.mark(**largest)
    assert max(map(len, bench.config.records.read_text().splitlines())) < 2048
    realistic = dict.fromkeys(COUNTERS, 123456)
    one.mark(**realistic)
    two.mark(**realistic)
    assert len(bench.config.records.read_text().splitlines()[-1]) < 1700


def test_the_peak_keeps_the_table_of_its_mark(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    for n in range(6):
        one.store(n, payload(n))
        two.store(n, payload(n + 3))
    one.mark(held_pages=6)
    two.mark(held_pages=6)
    one.invalidate_area(0)
    one.mark(held_pages=0)
    peak = bench.store.peak.report()
    assert peak["mark"]["domains"]["domU1"]["held_pages"] == 6
    assert len(peak["entries"]) == 9
    assert peak["sharing_histogram"] == {"1": 6, "2": 3}
    bench.store.reset_peak()
    assert bench.store.peak.report() == {"mark": None, "entries": [], "sharing_histogram": {}}


def test_a_destroyed_domain_leaves_no_reference(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    for n in range(20):
        one.store(n, payload(n))
        kept = two.store(n, payload(n + 10))
    bench.edge.destroy("domU1")
    answer = bench.verify()
    assert answer == {"ok": True, "entries": 20, "pages": 20, "bytes": 20000, "problems": []}
    assert {entry.sharing_domains for entry in bench.store.table.entries()} == {1}
    assert two.load(19, kept.page_id)[1] == payload(29)
    again = bench.connect("domU1")
    assert again.load(1, 1)[0].status == Status.ENOENT


def test_a_violation_ends_that_domain_alone(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    one.store(1, payload(1))
    kept = two.store(1, payload(2))
    one.shared.memory[0:4] = (1000).to_bytes(4, "little")
    two.send(request(Op.INVALIDATE_AREA, swap_type=5))  # pending at the same time
    one._library.final_check(one._front)
    os.eventfd_write(one.shared.to_store, 1)
    bench.turn()
    assert [name for name, _ in bench.edge.disconnections] == ["domU1"]
    assert two.receive()[0].status == Status.OKAY
    assert two.load(1, kept.page_id)[1] == payload(2)
    events = [json.loads(line) for line in bench.config.records.read_text().splitlines()]
    assert [e["event"] for e in events if e.get("domain") == "domU1"] == [
        "connected",
        "violation",
        "disconnected",
    ]


def test_a_busy_domain_does_not_starve_another(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    one.send(*(request(Op.INVALIDATE_AREA) for _ in range(64)))
    two.send(request(Op.INVALIDATE_AREA))
    bench.turn()
    assert len(one.receive()) == 64
    assert len(two.receive()) == 1
