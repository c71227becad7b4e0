"""An arena whose free room lies in holes too small: blocks move before anything is overwritten."""

from __future__ import annotations

import random

import pytest

from testbed.store.protocol import PAGE_SIZE, Status
from tests.unit.store.support import Bench

QUOTA = 8 * PAGE_SIZE
SHORT = 17
"""Bytes of payload that take the most room for what they are."""


def content(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.mark.parametrize("engine", ["native", "python"])
def test_blocks_move_when_no_room_is_left_in_one_piece(tmp_path, engine):
    bench = Bench(tmp_path, {"domU1": QUOTA}, engine=engine)
    frontend = bench.connect("domU1")
    rows = {}
    count = (QUOTA - PAGE_SIZE) // SHORT
    for offset in range(count):
        rows[offset] = frontend.store(offset, content(offset, SHORT)).page_id
    for offset in [offset for offset in rows if offset % 8]:
        frontend.invalidate((0, offset, 1))
        del rows[offset]
    assert bench.arena.moves == 0
    large = {}
    offset = count
    while (stored := frontend.store(offset, content(offset, PAGE_SIZE))).status == Status.OKAY:
        large[offset] = stored.page_id
        offset += 1
    assert len(large) >= 6
    assert bench.arena.moves > 0
    for offset, row in (rows | large).items():
        length = SHORT if offset in rows else PAGE_SIZE
        response, body = frontend.load(offset, row)
        assert (response.status, body) == (Status.OKAY, content(offset, length))
    assert bench.verify()["problems"] == []
    bench.close()
