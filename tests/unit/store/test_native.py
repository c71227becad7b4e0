"""The native ring: both compilers, wrap-around, hostile indices, events."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess

import pytest

from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.protocol import PAGE_SIZE, RESPONSE, Op, Status, ring_entries
from testbed.store.transport.inprocess import InProcessChannel
from testbed.store.transport.interface import BATCH, Batch
from testbed.store.transport.native import RingLibrary
from tests.unit.store.support import NATIVE, Frontend, request, ring_library


@pytest.mark.parametrize("compiler", ["gcc", "aarch64-linux-gnu-gcc"])
def test_builds_without_a_warning(compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    subprocess.run(["make", "-C", NATIVE, f"CC={compiler}", f"OUT={tmp_path}"], check=True)
    library = (tmp_path / "libpageshare_ring.so").read_bytes()
    machine = {"gcc": None, "aarch64-linux-gnu-gcc": 183}[compiler]
    assert machine is None or struct.unpack_from("<H", library, 18)[0] == machine


def test_a_missing_library_says_how_to_build_it(tmp_path):
    with pytest.raises(TransportError, match=r"nowhere\.so"):
        RingLibrary(tmp_path / "nowhere.so")


@pytest.fixture
def ends():
    frontend, batch = Frontend(), Batch()
    channel = InProcessChannel(ring_library(), batch, frontend.shared)
    yield frontend, channel, batch
    channel.close()
    frontend.close()


def answer(batch: Batch, count: int, op: int = Op.STORE, **fields: int) -> None:
    values = {"id": 0, "status": 0, "length": 0, "page_id": 0} | fields
    for at in range(count):
        RESPONSE.pack_into(
            batch.responses,
            at * RESPONSE.size,
            values["id"],
            op,
            0,
            values["status"],
            values["length"],
            values["page_id"] + at,
            0,
            0,
        )


@pytest.mark.parametrize("order", range(4))
def test_requests_and_responses_keep_their_order_round_and_round(order):
    frontend, batch = Frontend(8, order), Batch()
    channel = InProcessChannel(ring_library(), batch, frontend.shared)
    assert frontend.entries == (64, 128, 256, 512)[order]
    sent = 0
    for turn in range(40):
        size = 1 + turn * 13 % frontend.entries
        frontend.send(*(request(Op.INVALIDATE_AREA, id=sent + n) for n in range(size)))
        count, received = channel.exchange(0, BATCH), []
        while count:
            ids = [
                batch.requests[at * 32] | batch.requests[at * 32 + 1] << 8 for at in range(count)
            ]
            received += ids
            answer(batch, count)
            count = channel.exchange(count, BATCH)
        assert received == list(range(sent, sent + size))
        assert len(frontend.receive()) == size
        sent += size
    channel.close()
    frontend.close()


def test_a_payload_is_copied_before_the_frontend_can_change_it(ends):
    frontend, channel, batch = ends
    frontend.write_page(5, b"first" * 100)
    frontend.send(request(Op.STORE, data_page=5, length=500))
    assert channel.exchange(0, BATCH) == 1
    frontend.write_page(5, b"other" * 100)
    assert batch.payloads[:500] == b"first" * 100


@pytest.mark.parametrize(("data_page", "length"), [(32, 16), (0xFFFFFFFF, 16), (0, 4097)])
def test_bounds_that_are_wrong_are_not_followed(ends, data_page, length):
    frontend, channel, batch = ends
    batch.payloads[:16] = b"untouched memory"
    frontend.send(request(Op.STORE, data_page=data_page, length=length))
    assert channel.exchange(0, BATCH) == 1
    assert batch.payloads[:16] == b"untouched memory"


def test_a_load_fills_the_page_that_the_request_named(ends):
    frontend, channel, batch = ends
    frontend.send(request(Op.LOAD, data_page=7))
    channel.exchange(0, BATCH)
    batch.loads[:9] = b"its bytes"
    answer(batch, 1, Op.LOAD, length=9)
    channel.exchange(1, BATCH)
    assert frontend.read_page(7, 9) == b"its bytes"
    assert frontend.receive()[0].length == 9


def test_a_failed_load_leaves_the_page_alone(ends):
    frontend, channel, batch = ends
    frontend.write_page(7, b"kept")
    frontend.send(request(Op.LOAD, data_page=7))
    channel.exchange(0, BATCH)
    answer(batch, 1, Op.LOAD, length=4, status=Status.ENOENT)
    channel.exchange(1, BATCH)
    assert frontend.read_page(7, 4) == b"kept"


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("index", [1, 1 << 31, 0xFFFFFFFF])
def test_an_impossible_index_is_a_violation(order, index):
    """One more than the ring has, or anything that lies behind."""
    frontend = Frontend(1, order)
    channel = InProcessChannel(ring_library(), Batch(), frontend.shared)
    index += ring_entries(order) if index == 1 else 0
    frontend.shared.memory[0:4] = struct.pack("<I", index)
    with pytest.raises(ProtocolViolation):
        channel.exchange(0, BATCH)
    channel.close()
    frontend.close()


def test_a_ring_of_another_size_is_refused():
    with pytest.raises(ProtocolViolation, match="ring order 4"):
        Frontend(1, 4)


def test_an_index_that_goes_back_is_a_violation(ends):
    frontend, channel, batch = ends
    frontend.send(request(Op.MARK), request(Op.MARK))
    assert channel.exchange(0, BATCH) == 2
    answer(batch, 2)
    frontend.shared.memory[0:4] = struct.pack("<I", 1)
    with pytest.raises(ProtocolViolation):
        channel.exchange(2, BATCH)


def test_the_frontend_is_notified_once_for_each_wait(ends):
    frontend, channel, batch = ends
    for _ in range(3):
        frontend.send(request(Op.MARK), request(Op.MARK), request(Op.MARK))
        count = channel.exchange(0, BATCH)
        answer(batch, count)
        channel.exchange(count, BATCH)
        assert os.eventfd_read(frontend.shared.to_frontend) == 1
        assert len(frontend.receive()) == 3


def test_the_store_is_notified_only_when_it_waits(ends):
    frontend, channel, batch = ends
    frontend.send(request(Op.MARK))
    assert os.eventfd_read(frontend.shared.to_store) == 1
    assert channel.exchange(0, 1) == 1
    frontend.send(request(Op.MARK))  # the store is awake: no event
    with pytest.raises(BlockingIOError):
        os.eventfd_read(frontend.shared.to_store)
    answer(batch, 1)
    assert channel.exchange(1, 1) == 1
    answer(batch, 1)
    assert channel.exchange(1, 1) == 0
    frontend.send(request(Op.MARK))
    assert os.eventfd_read(frontend.shared.to_store) == 1


def test_the_directory_is_read_as_words():
    frontend = Frontend()
    frontend.write_page(0, struct.pack("<4I", 7, 8, 9, 0xFFFFFFFF))
    words = ring_library().read_words(frontend.shared.data_address, 4)
    assert words == [7, 8, 9, 0xFFFFFFFF]
    assert len(frontend.read_page(0, PAGE_SIZE)) == PAGE_SIZE
    frontend.close()
