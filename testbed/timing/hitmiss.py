"""``python3 -m testbed.timing.hitmiss``: could a domU tell a shared page by the clock?

One domain holds pages; another of its sharing group stores the same ones and
new ones in random order, one request at a time. Prints, as one JSON line, the
time from the request's publication to its response's for both, in
microseconds: 5 %, median and 95 %. The rings are real, the domains are not:
nothing is waited for, so this is the difference with the least noise that a
domU could ever see.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from testbed.store.config import DomainConfig, StoreConfig
from testbed.store.protocol import REQUEST, Encoding, Op
from testbed.store.records import RecordSink
from testbed.store.recovery import Recovered
from testbed.store.state import State
from testbed.store.store import Store
from testbed.store.table import SharingTable
from testbed.store.transport.frontend import FrontLibrary, FrontRing
from testbed.store.transport.inprocess import InProcessEdge
from testbed.store.transport.interface import Batch
from testbed.store.transport.native import RingLibrary

__all__ = ["main", "measure"]

HOLDER, ASKER = "holder", "asker"
QUOTA = 64 << 20
LENGTH = 950
"""Bytes: what a kernel compile's page takes, compressed."""

Distribution = dict[str, float]


def measure(
    front: FrontLibrary, ring: RingLibrary, pages: int, seed: int
) -> dict[str, Distribution]:
    """The distribution of both, over ``pages`` of each."""
    draw = random.Random(seed)  # noqa: S311 - page contents
    with tempfile.TemporaryDirectory() as folder:
        store, edge = _store(Path(folder), ring)
        holder, asker = FrontRing(front), FrontRing(front)
        edge.attach(HOLDER, holder.shared)
        edge.attach(ASKER, asker.shared)
        known = [draw.randbytes(LENGTH) for _ in range(pages)]
        for at, payload in enumerate(known):
            _store_one(store, HOLDER, holder, at, payload)
        asked = [("hit", payload) for payload in known]
        asked += [("miss", draw.randbytes(LENGTH)) for _ in range(pages)]
        draw.shuffle(asked)
        spent: dict[str, list[float]] = {"hit": [], "miss": []}
        for at, (kind, payload) in enumerate(asked):
            spent[kind].append(_store_one(store, ASKER, asker, at, payload))
        assert store.table.shared_hits == pages
        edge.close()
        store.close()
        for end in (holder, asker):
            end.close()
    return {kind: _distribution(values) for kind, values in spent.items()}


def _store(folder: Path, ring: RingLibrary) -> tuple[Store, InProcessEdge]:
    domains = tuple(DomainConfig(name, QUOTA, "both") for name in (HOLDER, ASKER))
    config = StoreConfig(2 * QUOTA, folder, 0, folder / "records", folder / "control", 64, domains)
    batch = Batch()
    edge = InProcessEdge(ring, batch)
    table = SharingTable(State(config.arena_bytes, ["both"]))
    store = Store(config, table, Recovered(), batch, RecordSink(config.records))
    store.use(edge)
    return store, edge


def _store_one(store: Store, name: str, front: FrontRing, at: int, payload: bytes) -> float:
    """Microseconds that one STORE took."""
    front.write_page(0, payload)
    request = REQUEST.pack(0, Op.STORE, Encoding.LZ4, 0, len(payload), 0, 0, at, 1, 0)
    start = time.perf_counter_ns()
    front.send(request)
    store.ready(name)
    spent = time.perf_counter_ns() - start
    ((_, _, _, status, *_),) = front.receive()
    assert status == 0
    return spent / 1000


def _distribution(values: list[float]) -> Distribution:
    cuts = statistics.quantiles(values, n=20)
    return {"p5": cuts[0], "median": statistics.median(values), "p95": cuts[18]}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed.timing.hitmiss", description="Shared and new pages, by the clock."
    )
    parser.add_argument("--front", type=Path, required=True, help="libpageshare_front.so")
    parser.add_argument("--pages", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    found = measure(FrontLibrary(options.front), RingLibrary(), options.pages, options.seed)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
