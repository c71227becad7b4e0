"""A domain that changes its ring and its pages while the store reads them."""

from __future__ import annotations

import os
import random
import signal

import pytest

from testbed.store.protocol import MAX_SWAP_TYPES, PAGE_SIZE, Op, Status
from tests.unit.store.support import Bench, request

DATA_PAGES = 4
TURNS, REQUESTS = 300, 300
"""At least."""


def scribble(frontend, seed: int) -> None:
    """For ever: requests in order, overwritten before, while and after they are read."""
    draw, memory = random.Random(seed), frontend.shared.memory
    sent = 0
    while True:
        answered = int.from_bytes(memory[8:12], "little")
        for _ in range(20):
            at = 64 + 32 * draw.randrange(64)
            memory[at : at + 32] = request(
                draw.choice([*Op, 0]),
                encoding=draw.randrange(5),
                data_page=draw.choice([0, 1, 2, 3, DATA_PAGES, 0xFFFFFFFF]),
                length=draw.choice([16, 32, 240, 900, PAGE_SIZE, PAGE_SIZE + 1, 0xFFFFFFFF]),
                swap_type=draw.choice([0, MAX_SWAP_TYPES]),
                offset=draw.randrange(20),
                generation=1,
                page_id=draw.randrange(20),
            )
            at = frontend.shared.data_offset + draw.randrange(DATA_PAGES * PAGE_SIZE - 64)
            memory[at : at + 64] = draw.randbytes(64)
        sent = max(sent, answered + draw.randrange(1, 65))
        if sent - answered <= 64:
            memory[0:4] = sent.to_bytes(4, "little")


@pytest.mark.parametrize("engine", ["native", "python"])
def test_what_changes_while_it_is_read_harms_nobody_else(tmp_path, engine):
    bench = Bench(tmp_path, engine=engine)
    hostile = bench.connect("domU1", DATA_PAGES)
    honest = bench.connect("domU2")
    bodies = {n: random.Random(n).randbytes(500 + n) for n in range(20)}
    rows = {n: honest.store(n, body).page_id for n, body in bodies.items()}
    child = os.fork()
    if not child:
        scribble(hostile, 1)
    counters, turn = bench.store.connections["domU1"].counters, 0
    try:
        while turn < TURNS or counters.requests < REQUESTS:
            os.eventfd_write(hostile.shared.to_store, 1)
            bench._wake()
            bench.store.continue_pending()  # once: it may always have more to ask
            n = turn % len(bodies)
            bench.store.tidy(idle=not n)
            response, body = honest.load(n, rows[n])
            assert (response.status, body) == (Status.OKAY, bodies[n])
            turn += 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert list(bench.store.connections) == ["domU1", "domU2"]
    assert bench.verify()["problems"] == []
    assert not set(bodies.values()) & {hostile.read_page(at, 500) for at in range(DATA_PAGES)}
    bench.close()
