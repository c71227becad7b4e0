"""The oracle reads what the store wrote, by its own reader, and finds what was planted."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InfrastructureError
from orchestrator.oracle import ceiling, look_at, read_regions
from orchestrator.oracle.encodings import decode, encoded_length
from orchestrator.oracle.forms import Form, made_again
from testbed.still.files import copy_files
from testbed.store.domain import Domain, pack_key
from testbed.store.protocol import Encoding
from testbed.store.secondlook.look import SecondLook
from testbed.store.secondlook.settings import Settings
from testbed.store.state import Life, State
from testbed.store.table import SharingTable
from tests.unit.oracle.planted import PAGE, compressed, page

DOMIDS = {"domU1": 3, "domU2": 4}


class Kept:
    """A store's state on disk, filled through the store's own classes."""

    def __init__(self, folder, groups=("all", "all")):
        self.folder = folder
        self.state = State(8 << 20, list(groups), folder / "state")
        self.table = SharingTable(self.state)
        self.domains = {}
        for (name, domid), group in zip(DOMIDS.items(), groups, strict=True):
            life = Life(domid, 0xFEED_0000 + domid)
            rows = self.state.make_rows(life, self.state.group(group))
            self.domains[name] = Domain(name, life, self.table, rows, 8 << 20)

    def store(self, name, slot, content, encoding=Encoding.LZ4):
        payload = content if encoding is Encoding.RAW else compressed(content)
        self.domains[name].store(pack_key(0, slot), slot + 1, encoding, payload)

    def copy(self):
        copy = self.folder / "copy"
        copy_files(self.state._folder, copy)
        return copy


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path)


def look(kept, disks=None):
    store = read_regions(kept.copy(), DOMIDS)
    return store, look_at(store, disks or {}, list(DOMIDS), "lz4")


def test_every_reference_is_found_with_its_slot_and_its_page(kept):
    draw = random.Random(5)
    contents = [page(seed) for seed in range(6)] + [draw.randbytes(PAGE)]
    wanted = {}
    for slot in range(1, 120):
        name, content = draw.choice(list(DOMIDS)), draw.choice(contents)
        kept.store(name, slot, content, Encoding.RAW if content is contents[-1] else Encoding.LZ4)
        wanted[name, slot] = content
    for slot in range(1, 120, 3):  # holes in the arena, rows that are free again
        for name in DOMIDS:
            kept.domains[name].discard(pack_key(0, slot))
            wanted.pop((name, slot), None)
    while kept.table.tidy(64, idle=True):
        pass
    store = read_regions(kept.copy(), DOMIDS)
    pages = store.contents()
    found = {
        (name, slot): pages[index]
        for name, slot, index in zip(store.domains, store.slots, store.pages, strict=True)
    }
    assert found == wanted
    assert store.kept_bytes == kept.table.payload_bytes
    assert store.lost == 0


def test_pages_that_the_second_look_keeps_smaller_are_made_again(kept):
    wanted = {}
    for slot in range(1, 60):
        name = list(DOMIDS)[slot % 2]
        content = bytearray(page(slot % 9, shift=slot))
        if slot % 4 == 0:  # it resembles its twins, and is none
            content[slot * 8 : slot * 8 + 8] = b"another!"
        kept.store(name, slot, bytes(content))
        wanted[name, slot] = bytes(content)
    second = SecondLook(kept.table, Settings())
    for thorough in (False, True):
        for one in range(1, kept.table.records.ids.end):
            second.look(one, thorough=thorough)
    for slot in range(1, 12):  # bases among them, which their differences still need
        for name in DOMIDS:
            kept.domains[name].discard(pack_key(0, slot))
            wanted.pop((name, slot), None)
    forms = [entry.form for entry in read_regions(kept.copy(), DOMIDS).entries.values()]
    assert {Form.TWIN, Form.NEAR_TWIN, Form.RECOMPRESSED} <= set(forms)
    store, seen = look(kept)
    pages = store.contents()
    found = {
        (name, slot): pages[number]
        for name, slot, number in zip(store.domains, store.slots, store.pages, strict=True)
    }
    assert found == wanted
    assert (len(store.entries), store.kept_bytes) == (len(kept.table), kept.table.payload_bytes)
    charged = sum(one.charged_bytes for one in kept.domains.values())
    assert sum(seen.length) == charged
    assert len(set(seen.pointers)) < len(set(seen.exact))


def test_what_is_kept_of_no_page_is_an_error():
    for form, kept in ((7, b"x" * 20), (1, b"\0" * 20), (2, b"\0" * 8 + b"\1\0\5" + b"\0" * 9)):
        with pytest.raises(InfrastructureError):
            made_again(form, Encoding.LZ4, kept, {0: page(1)}.__getitem__)


def test_the_ceiling_of_equal_pages_is_what_the_store_saves(kept):
    for slot in range(1, 40):
        kept.store("domU1", slot, page(slot % 5))
        kept.store("domU2", slot, page(slot % 7))
    _, seen = look(kept)
    saved = sum(one.charged_bytes for one in kept.domains.values()) - kept.table.payload_bytes
    assert ceiling(seen.domain, seen.exact, seen.length).total_bytes == saved > 0


STORES = st.tuples(
    st.sampled_from(sorted(DOMIDS)), st.integers(1, 12), st.integers(0, 4), st.integers(0, 2)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STORES, max_size=40), st.booleans())
def test_whatever_is_stored_the_ceilings_are_never_below_what_the_store_saves(
    tmp_path_factory, stores, one_group
):
    groups = ("all", "all") if one_group else ("one", "other")
    kept = Kept(tmp_path_factory.mktemp("kept"), groups)
    for name, slot, seed, shift in stores:
        kept.domains[name].discard(pack_key(0, slot))
        if seed:
            kept.store(name, slot, page(seed, shift=shift))
    _, seen = look(kept)
    charged = sum(one.charged_bytes for one in kept.domains.values())
    saved = charged - kept.table.payload_bytes
    exact, pointers = (
        ceiling(seen.domain, classes, seen.length) for classes in (seen.exact, seen.pointers)
    )
    assert sum(seen.length) == charged
    assert saved <= exact.total_bytes <= pointers.total_bytes
    assert not one_group or saved == exact.total_bytes


def test_twins_with_other_pointers_raise_the_other_ceiling_alone(kept):
    for slot in range(1, 9):
        kept.store("domU1", slot, page(slot))
        kept.store("domU2", slot, page(slot, shift=1000 + slot))
    _, seen = look(kept)
    assert ceiling(seen.domain, seen.exact, seen.length).total_bytes == 0
    found = ceiling(seen.domain, seen.pointers, seen.length)
    smallest = sum(min(seen.length[i], seen.length[i + 8]) for i in range(8))
    assert found.between_bytes == found.total_bytes == sum(seen.length) - smallest > 0


def test_what_groups_forbid_is_possible_all_the_same(tmp_path):
    kept = Kept(tmp_path, groups=("one", "other"))
    for name in DOMIDS:
        kept.store(name, 1, page(1))
    _, seen = look(kept)
    saved = sum(one.charged_bytes for one in kept.domains.values()) - kept.table.payload_bytes
    assert saved == 0
    assert ceiling(seen.domain, seen.exact, seen.length).between_bytes == len(compressed(page(1)))


def test_pages_on_a_swap_disk_are_those_that_the_store_does_not_hold(kept, tmp_path):
    kept.store("domU1", 2, page(2))
    disk = bytearray(8 * PAGE)
    disk[:PAGE] = page(99)  # the swap area's header
    for slot, content in ((2, page(50)), (3, page(2)), (5, page(7))):
        disk[slot * PAGE : (slot + 1) * PAGE] = content
    image = tmp_path / "swap"
    image.write_bytes(disk)
    _, seen = look(kept, {"domU1": image})
    assert seen.on_disk == [False, True, True], "block 2 is stale, block 0 no page"
    assert seen.exact == [0, 0, 1], "page 2 is there twice, once on the disk"
    assert seen.length[1] == encoded_length("lz4", page(2)) == len(compressed(page(2)))


def test_a_domain_that_never_was_a_client_holds_nothing(kept):
    kept.store("domU1", 1, page(1))
    store = read_regions(kept.copy(), {**DOMIDS, "domU3": 9})
    assert store.domains == ["domU1"]


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("header", lambda data: data.replace(b'"layout": 1', b'"layout": 2'), "layout 2, not 1"),
        ("header", lambda _: b"{}", "no header"),
        ("arena", lambda data: data[:8] + bytes(16) + data[24:], "not where its entry says"),
        ("arena", lambda data: data[:30], "not where its entry says"),
        ("entries", lambda data: data[:16], "reaches page 1, and there is none"),
    ],
)
def test_a_copy_that_is_not_of_one_moment_is_refused(kept, name, spoil, message):
    kept.store("domU1", 1, page(1))
    copy = kept.copy()
    (copy / name).write_bytes(spoil((copy / name).read_bytes()))
    with pytest.raises(InfrastructureError, match=message):
        read_regions(copy, DOMIDS)


@pytest.mark.parametrize(
    ("encoding", "payload", "message"),
    [
        (0, b"short", "a page of 5 bytes"),
        (1, b"\xff" * 40, "cannot be decompressed"),
        (1, compressed(b"short"), "a page of 5 bytes"),
        (3, b"\xff" * 40, "cannot be decompressed"),
        (2, b"lzo", "encoding 2, which cannot be read"),
        (3, zstandard.ZstdCompressor().compress(bytes(1 << 20)), "promises more than a page"),
    ],
)
def test_a_payload_that_is_no_page_is_an_error(encoding, payload, message):
    with pytest.raises(InfrastructureError, match=message):
        decode(encoding, payload)


def test_zstd_is_read_too():
    payload = zstandard.ZstdCompressor(level=3).compress(page(1))
    assert decode(3, payload) == page(1)
    assert encoded_length("zstd", page(1)) == len(payload)
    assert encoded_length("zstd", random.Random(1).randbytes(PAGE)) == PAGE
