"""``python3 -m testbed.timing.hitmiss``: could a domU tell a shared page by the clock?

One domain holds pages; another of its sharing group stores the same ones and
new ones in random order, one request at a time. Prints, as one JSON line, the
time from the request's publication to its response's for both, in
microseconds: 5 %, median and 95 %.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from testbed.store.transport.frontend import FrontLibrary, FrontRing
from testbed.store.transport.native import RingLibrary
from testbed.timing.rig import (
    ASKER,
    HOLDER,
    Distribution,
    command_line,
    distribution,
    make_store,
    store_one,
)

__all__ = ["main", "measure"]

LENGTH = 950
"""Bytes: what a kernel compile's page takes, compressed."""


def measure(
    front: FrontLibrary, ring: RingLibrary, pages: int, seed: int
) -> dict[str, Distribution]:
    """The distribution of both, over ``pages`` of each."""
    draw = random.Random(seed)  # noqa: S311 - page contents
    with tempfile.TemporaryDirectory() as folder:
        store, edge = make_store(Path(folder), ring)
        holder, asker = FrontRing(front), FrontRing(front)
        edge.attach(HOLDER, holder.shared)
        edge.attach(ASKER, asker.shared)
        known = [draw.randbytes(LENGTH) for _ in range(pages)]
        for at, payload in enumerate(known):
            store_one(store, HOLDER, holder, at, payload)
        asked = [("hit", payload) for payload in known]
        asked += [("miss", draw.randbytes(LENGTH)) for _ in range(pages)]
        draw.shuffle(asked)
        spent: dict[str, list[float]] = {"hit": [], "miss": []}
        for at, (kind, payload) in enumerate(asked):
            spent[kind].append(store_one(store, ASKER, asker, at, payload)[0])
        assert store.table.shared_hits == pages
        edge.close()
        store.close()
        for end in (holder, asker):
            end.close()
    return {kind: distribution(values) for kind, values in spent.items()}


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return command_line(
        "testbed.timing.hitmiss", "Shared and new pages, by the clock.", measure, 4000, arguments
    )


if __name__ == "__main__":
    sys.exit(main())
