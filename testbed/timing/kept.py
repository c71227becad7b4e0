"""``python3 -m testbed.timing.kept``: what a page costs that the second look keeps smaller.

One domain holds pages in every form. Prints, as one JSON line by form, the times
of a LOAD of such a page and of a STORE of an equal one by another domain, in
microseconds: 5 %, median and 95 %. A form that stands out is what a domU could
tell by the clock.
"""

from __future__ import annotations

import random
import struct
import sys
import tempfile
from pathlib import Path

import lz4.block

from testbed.store.forms import Form
from testbed.store.secondlook.look import SecondLook
from testbed.store.secondlook.pointers import USER_RANGES
from testbed.store.secondlook.settings import Settings
from testbed.store.transport.frontend import FrontLibrary, FrontRing
from testbed.store.transport.native import RingLibrary
from testbed.timing.rig import (
    ASKER,
    HOLDER,
    Distribution,
    command_line,
    distribution,
    load_one,
    make_store,
    store_one,
)

__all__ = ["main", "measure"]

_PAGES_OF_A_KIND = 4
"""One that is compressed once more, a twin of it, one that resembles it, and one that the
second look does not see."""


def measure(
    front: FrontLibrary, ring: RingLibrary, pages: int, seed: int
) -> dict[str, dict[str, Distribution]]:
    """By form: the distributions of ``load`` and ``store``, over ``pages`` of each form."""
    draw = random.Random(seed)  # noqa: S311 - page contents
    with tempfile.TemporaryDirectory() as folder:
        store, edge = make_store(Path(folder), ring, Settings())
        holder, asker = FrontRing(front), FrontRing(front)
        edge.attach(HOLDER, holder.shared)
        edge.attach(ASKER, asker.shared)
        payloads = [
            lz4.block.compress(page, store_size=False)
            for number in range(pages)
            for page in _kind(draw, number)
        ]
        rows = [
            store_one(store, HOLDER, holder, at, payload)[1] for at, payload in enumerate(payloads)
        ]
        look = SecondLook(store.table, Settings())
        ids = range(1, store.table.records.ids.end)
        for thorough in (False, True):
            for page in ids:
                if (page - 1) % _PAGES_OF_A_KIND != _PAGES_OF_A_KIND - 1:
                    look.look(page, thorough=thorough)
        order = list(range(len(payloads)))
        draw.shuffle(order)
        kinds = ("load", "store")
        spent: dict[Form, dict[str, list[float]]] = {f: {k: [] for k in kinds} for f in Form}
        for at in order:
            form = Form(store.table.records.form(at + 1))
            spent[form]["load"].append(load_one(store, HOLDER, holder, at, rows[at]))
            spent[form]["store"].append(store_one(store, ASKER, asker, at, payloads[at])[0])
        assert store.table.shared_hits == pages  # those that are kept as they were sent
        edge.close()
        store.close()
        for end in (holder, asker):
            end.close()
    return {
        form.name.lower(): {what: distribution(values) for what, values in found.items()}
        for form, found in spent.items()
    }


def _kind(draw: random.Random, number: int) -> list[bytes]:
    """Four pages of words and of pointers that a second look keeps in four forms."""
    (heap, _), (mapped, _) = USER_RANGES[1:3]
    known = [draw.getrandbits(63) | 1 << 63 for _ in range(40)]
    words = [draw.choice(known) for _ in range(512)]
    places = draw.sample(range(512), 120)
    targets = [draw.choice((heap, mapped)) + draw.randrange(1 << 28) for _ in places]

    def page(shift: int) -> bytes:
        for place, target in zip(places, targets, strict=True):
            words[place] = target + (shift << 12)
        return struct.pack("<512Q", *words)

    whole = page(0)
    twin = page(7 + number)
    words[draw.choice([at for at in range(512) if at not in places])] = draw.getrandbits(63)
    near = page(3)
    return [whole, twin, near, page(0)[:2048] + draw.randbytes(1024) + bytes(1024)]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return command_line(
        "testbed.timing.kept", "Pages by form, by the clock.", measure, 500, arguments
    )


if __name__ == "__main__":
    sys.exit(main())
