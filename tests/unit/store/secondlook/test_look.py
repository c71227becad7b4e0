"""What the second look makes of a table, and what domains see of it: nothing."""

from __future__ import annotations

import pytest
import zstandard

from testbed.store.errors import DamagedPage
from testbed.store.figures import Peak
from testbed.store.forms import Form
from testbed.store.protocol import Encoding
from testbed.store.rebuild import Undecodable, decode
from testbed.store.secondlook.look import worth_it
from testbed.store.secondlook.zstd import Zstd, ZstdError
from testbed.store.table import SharingTable
from testbed.store.verification import problems
from tests.unit.store.secondlook.bench import MOVES, Store, near
from tests.unit.store.secondlook.pages import process_page


@pytest.fixture
def store():
    return Store()


def test_twins_of_two_domains_are_kept_as_one_page_and_a_difference(store):
    first = store.put(0, 1, process_page(1, MOVES[0]))
    second = store.put(1, 1, process_page(1, MOVES[1]))
    before, charged = store.table.payload_bytes, [d.charged_bytes for d in store.domains]
    store.look_at_all()
    assert store.forms() == [Form.RECEIVED, Form.TWIN]
    assert store.table.payload_bytes < before * 0.52
    assert store.table.payload_bytes == store.table.arena.payload_bytes
    assert store.table.rekept.saved_bytes == before - store.table.payload_bytes
    assert [d.charged_bytes for d in store.domains] == charged
    assert store.get(0, 1, first) == process_page(1, MOVES[0])
    assert store.get(1, 1, second) == process_page(1, MOVES[1])


def test_the_table_at_its_peak_tells_what_is_kept(store):
    for number in range(3):
        store.put(number % 2, number, process_page(1, MOVES[number]))
    store.look_at_all()
    store.domains[0].discard(0)  # the base: nobody holds it any more
    peak = Peak()
    peak.offer({"domains": {"any": {"logical_pages": 3}}}, store.table)
    entries = peak.report()["entries"]
    assert sum(kept for _, _, kept in entries) == store.table.payload_bytes
    assert sorted(holders for _, holders, _ in entries) == [0, 1, 1]


def test_groups_do_not_see_each_other(store):
    store.put(0, 1, process_page(1, MOVES[0]))
    store.put(2, 1, process_page(1, MOVES[1]))
    store.look_at_all()
    assert store.forms() == [Form.RECEIVED, Form.RECEIVED]


def test_a_page_that_is_used_is_left_alone(store):
    store.put(0, 1, process_page(1, MOVES[0]))
    row = store.put(1, 1, process_page(1, MOVES[1]))
    for _ in range(4):
        store.clock.now += 6.0
        store.table.use(store.domains[1].find(1, 1, row))
        while store.look.wait() is not None:
            store.look.step()
    assert store.forms() == [Form.RECEIVED, Form.RECEIVED]
    store.look_at_all()
    assert Form.TWIN in store.forms()


def test_an_equal_payload_is_a_new_page_until_it_is_cold_itself(store):
    """To compare it with what is kept otherwise would take time that a domU could measure."""
    store.put(0, 1, process_page(1, MOVES[0]))
    store.put(1, 1, process_page(1, MOVES[1]))
    store.look_at_all()
    row = store.put(0, 2, process_page(1, MOVES[1]))
    assert len(store.table) == 3
    assert store.get(0, 2, row) == process_page(1, MOVES[1])
    store.look_at_all()
    assert store.forms().count(Form.TWIN) == 2
    assert store.get(0, 2, row) == process_page(1, MOVES[1])


def test_a_base_outlives_its_last_holder_while_a_difference_needs_it(store):
    store.put(0, 1, process_page(1, MOVES[0]))
    rows = [store.put(1, n, process_page(1, MOVES[n])) for n in (1, 2)]
    store.look_at_all()
    assert store.forms() == [Form.RECEIVED, Form.TWIN, Form.TWIN]
    store.domains[0].discard(1)
    assert len(store.table) == 3
    assert problems(store.table, store.domains) == []
    for number, row in zip((1, 2), rows, strict=True):
        assert store.get(1, number, row) == process_page(1, MOVES[number])
    store.domains[1].discard(1)
    assert len(store.table) == 2
    store.domains[1].discard(2)
    assert len(store.table) == 0
    assert store.table.payload_bytes == store.table.arena.payload_bytes == 0
    assert problems(store.table, store.domains) == []


def test_a_store_that_starts_again_finds_differences_and_bases(tmp_path):
    store = Store(tmp_path)
    store.put(0, 1, process_page(1, MOVES[0]))
    rows = [store.put(1, n, process_page(1, MOVES[n])) for n in (1, 2)]
    alone = store.put(2, 9, process_page(5))
    store.look_at_all()
    store.domains[0].discard(1)
    payload, totals = store.table.payload_bytes, store.table.rekept.totals
    store.reopen()
    assert store.table.payload_bytes == payload
    assert store.table.rekept.totals == totals
    assert problems(store.table, store.domains) == []
    for number, row in zip((1, 2), rows, strict=True):
        assert store.get(1, number, row) == process_page(1, MOVES[number])
    assert store.get(2, 9, alone) == process_page(5)
    store.look_at_all()
    store.domains[1].leave()
    assert len(store.table) == 1


@pytest.mark.parametrize("kind", [0x71, 0x21, 0xF0])
def test_a_difference_whose_base_is_of_no_form_or_another_is_lost_alone(tmp_path, kind):
    store = Store(tmp_path)
    store.put(0, 1, process_page(1, MOVES[0]))
    row = store.put(1, 1, process_page(1, MOVES[1]))
    other = store.put(1, 2, process_page(7))
    store.look_at_all()
    difference = store.domains[1].find(1, 1, row)
    store.table.records.kinds[store.table.rekept.base(difference)] = kind
    store.reopen()
    assert [domain.member.damaged for domain in store.domains] == [1, 1, 0]
    assert store.get(1, 2, other) == process_page(7)
    assert problems(store.table, store.domains) == []


@pytest.mark.parametrize("which", ["base", "difference"])
def test_a_bit_that_flips_in_either_part_is_found(store, which):
    store.put(0, 1, process_page(1, MOVES[0]))
    row = store.put(1, 1, process_page(1, MOVES[1]))
    store.look_at_all()
    table = store.table
    difference = store.domains[1].find(1, 1, row)
    page = table.rekept.base(difference) if which == "base" else difference
    at = (table.block_of(page) + 1) * 8 + 10
    byte = table.state.arena.read(at, at + 1)[0]
    table.state.arena.write(at, bytes((byte ^ 4,)))
    with pytest.raises(DamagedPage):
        table.read(difference)
    assert any("bytes have changed" in one for one in problems(table, store.domains))


def test_what_is_no_page_is_left_as_it_was_sent(store):
    rows = [store.domains[0].store(1, 1, Encoding.LZ4, b"no page at all" * 9)]
    rows.append(store.domains[0].store(2, 1, Encoding.ZSTD, b"neither is this" * 9))
    rows.append(store.domains[0].store(3, 1, Encoding.LZO, b"and this is of another kind"))
    store.look_at_all()
    assert store.look.outcomes == {"undecodable": 3}
    assert store.table.read(store.domains[0].find(1, 1, rows[0]))[1] == b"no page at all" * 9


def test_many_pages_are_each_looked_at_once_until_they_are_used(store):
    for key in range(50):
        store.put(0, key, process_page(key))
    store.look_at_all()
    store.look_at_all()
    assert store.look.outcomes == {"alone": 50}


@pytest.mark.parametrize(
    ("before", "after", "worth"), [(4000, 3500, True), (4000, 3501, False), (100, 69, False)]
)
def test_what_is_gained_must_be_worth_it(before, after, worth):
    assert worth_it(before, after) is worth


def test_only_whole_pages_are_bases(store):
    for number in range(4):
        store.put(0, number, process_page(1, MOVES[number]))
    store.look_at_all()
    table = store.table
    assert isinstance(table, SharingTable)
    assert sorted(store.forms()) == [Form.RECEIVED, *[Form.TWIN] * 3]
    whole = next(e.page_id for e in table.entries() if not table.records.form(e.page_id))
    assert table.rekept.bases[whole] == 3


def test_a_page_without_a_twin_is_compressed_once_more():
    store = Store(recompress=True)
    text = b"".join(b"word %d of a text that zstd knows better; " % (n * n) for n in range(99))
    page = text[:4096]
    row = store.put(0, 1, page)
    before = store.table.payload_bytes
    store.look_at_all()
    assert store.forms() == [Form.RECOMPRESSED]
    assert store.table.payload_bytes < before * 0.8
    assert store.get(0, 1, row) == page
    assert store.domains[0].charged_bytes == before
    again = store.put(1, 1, page)
    store.look_at_all()
    assert store.forms() == [Form.RECOMPRESSED, Form.TWIN]
    assert store.get(1, 1, again) == page
    for domain in store.domains[:2]:
        domain.discard(1)
    assert store.table.payload_bytes == 0


def test_a_base_may_be_compressed_and_its_differences_stay(tmp_path):
    store = Store(tmp_path, recompress=True)
    pages = [process_page(1, moved, noise=False) for moved in MOVES]
    rows = [store.put(number % 2, number, page) for number, page in enumerate(pages)]
    store.look_at_all()
    assert sorted(store.forms()) == [Form.RECOMPRESSED, *[Form.TWIN] * 3]
    store.reopen()
    for number, (row, page) in enumerate(zip(rows, pages, strict=True)):
        assert store.get(number % 2, number, row) == page
    assert problems(store.table, store.domains) == []


def test_what_zstd_sent_itself_is_left_alone():
    store = Store(recompress=True)
    page = process_page(1)
    store.domains[0].store(1, 1, Encoding.ZSTD, zstandard.ZstdCompressor(level=3).compress(page))
    store.look_at_all()
    assert store.forms() == [Form.RECEIVED]


def test_pages_that_resemble_each_other_are_kept_beside_each_other(tmp_path):
    store = Store(tmp_path, near_twins=True, recompress=True)
    pages = [near(number, moved) for number, moved in enumerate(MOVES)]
    rows = [store.put(number % 2, number, page) for number, page in enumerate(pages)]
    before = store.table.payload_bytes
    store.look_at_all()
    assert store.forms().count(Form.NEAR_TWIN) == 3
    assert store.table.payload_bytes < before * 0.5
    store.reopen()
    for number, (row, page) in enumerate(zip(rows, pages, strict=True)):
        assert store.get(number % 2, number, row) == page
    for number in range(4):
        store.domains[number % 2].discard(number)
    assert len(store.table) == 0


def test_near_twins_can_be_left_out():
    store = Store(recompress=True)
    for number, moved in enumerate(MOVES):
        store.put(0, number, near(number, moved))
    store.look_at_all()
    assert Form.NEAR_TWIN not in store.forms()


def test_a_payload_that_promises_more_than_a_page_is_not_decompressed():
    """zstandard makes what a frame's header says, whatever is asked for at the most."""
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    assert len(bomb) < 4096
    with pytest.raises(Undecodable, match="67108864 bytes"):
        decode(Encoding.ZSTD, bomb)
    with pytest.raises(ZstdError):
        Zstd().unzip(bomb[4:])
    with pytest.raises(ZstdError):
        Zstd().unzip_beside(bytes(4096), bomb[4:])
