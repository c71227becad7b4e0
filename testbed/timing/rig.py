"""A store over an in-process edge, and the clock around single requests.

The rings are real, the domains are not: nothing is waited for, so that what is
measured is what the store does, with the least noise that a domU could ever see.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed.store.config import DomainConfig, StoreConfig
from testbed.store.protocol import REQUEST, Encoding, Op
from testbed.store.records import RecordSink
from testbed.store.recovery import Recovered
from testbed.store.secondlook.settings import Settings
from testbed.store.state import State
from testbed.store.store import Store
from testbed.store.table import SharingTable
from testbed.store.transport.frontend import FrontLibrary, FrontRing
from testbed.store.transport.inprocess import InProcessEdge
from testbed.store.transport.interface import Batch
from testbed.store.transport.native import RingLibrary

__all__ = [
    "ASKER",
    "HOLDER",
    "Distribution",
    "command_line",
    "distribution",
    "load_one",
    "make_store",
    "store_one",
]

HOLDER, ASKER = "holder", "asker"
QUOTA = 64 << 20

Distribution = dict[str, float]
Measure = Callable[[FrontLibrary, RingLibrary, int, int], dict[str, Any]]
"""Of the two ends' libraries, a number of pages, and a seed."""


def command_line(
    name: str, description: str, measure: Measure, pages: int, arguments: list[str] | None
) -> int:
    """A program that measures and prints one JSON line; ``pages`` unless told otherwise."""
    parser = argparse.ArgumentParser(prog=f"python3 -m {name}", description=description)
    parser.add_argument("--front", type=Path, required=True, help="libpageshare_front.so")
    parser.add_argument("--pages", type=int, default=pages, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = measure(FrontLibrary(options.front), RingLibrary(), options.pages, options.seed)
    print(json.dumps(found))
    return 0


def make_store(
    folder: Path, ring: RingLibrary, second_look: Settings | None = None
) -> tuple[Store, InProcessEdge]:
    """A store whose two domains share; files are in ``folder``."""
    domains = tuple(DomainConfig(name, QUOTA, "both") for name in (HOLDER, ASKER))
    config = StoreConfig(
        2 * QUOTA,
        folder,
        0,
        folder / "records",
        folder / "control",
        64,
        domains,
        second_look=second_look,
    )
    batch = Batch()
    edge = InProcessEdge(ring, batch)
    table = SharingTable(State(config.arena_bytes, ["both"]))
    store = Store(config, table, Recovered(), batch, RecordSink(config.records))
    store.use(edge)
    return store, edge


def store_one(
    store: Store, name: str, front: FrontRing, at: int, payload: bytes
) -> tuple[float, int]:
    """Microseconds that one STORE took, and its page id."""
    front.write_page(0, payload)
    request = REQUEST.pack(0, Op.STORE, Encoding.LZ4, 0, len(payload), 0, 0, at, 1, 0)
    spent, (_, _, _, status, _, row, *_) = _ask(store, name, front, request)
    assert status == 0
    return spent, row


def load_one(store: Store, name: str, front: FrontRing, at: int, row: int) -> float:
    """Microseconds that one LOAD took."""
    request = REQUEST.pack(0, Op.LOAD, 0, 1, 0, 0, 0, at, 1, row)
    spent, (_, _, _, status, *_) = _ask(store, name, front, request)
    assert status == 0
    return spent


def distribution(values: list[float]) -> Distribution:
    """5 %, median and 95 %."""
    cuts = statistics.quantiles(values, n=20)
    return {"p5": cuts[0], "median": statistics.median(values), "p95": cuts[18]}


def _ask(
    store: Store, name: str, front: FrontRing, request: bytes
) -> tuple[float, tuple[int, ...]]:
    start = time.perf_counter_ns()
    front.send(request)
    store.ready(name)
    spent = time.perf_counter_ns() - start
    (response,) = front.receive()
    return spent / 1000, tuple(response)
