"""The oracle on a real machine: what is planted in domUs is found in the copies of one moment."""

from __future__ import annotations

from pathlib import Path

from orchestrator.deadline import Deadline
from orchestrator.machine import Stillness
from orchestrator.oracle import ceiling, look_at, look_at_memory, read_regions
from tests.system.pages import Pages

NUMBER = 800
XEN_PAGES = (96 << 20) // 4096
"""What the machine's description sets aside for Xen."""


def test_planted_twins_are_found_and_everybody_goes_on(pages: Pages, tmp_path: Path) -> None:
    machine = pages.machine
    domains = list(machine.domains.values())
    names = [domain.name for domain in domains]
    before = pages.counters("small")
    with (
        pages.held("domU1", NUMBER, "text", seed=61, pageout=True) as (one, _),
        pages.held("domU2", NUMBER, "text", seed=61, pageout=True) as (other, _),
        # 6 MB of pages that do not compress, for a quota of 2 MiB: to the swap disk
        pages.held("small", NUMBER, "random", seed=62, pageout=True) as (full, _),
    ):
        refused = pages.counters("small")
        still = Stillness(machine, domains, tmp_path)
        held = still.hold(Deadline.after(120))
        store = read_regions(
            still.fetch(Deadline.after(300)), {domain.name: domain.domid for domain in domains}
        )
        for job in (one, other, full):
            assert pages.bring_back(job)["mismatches"] == 0
    look = look_at(store, held.disks, names, "lz4")

    table, books = held.stats["table"], held.stats["domains"]
    assert (len(store.entries), store.kept_bytes) == (
        table["entries"],
        table["payload_bytes"],
    )
    for name in names:
        assert store.domains.count(name) == books[name]["references"]
    classes = {
        name: {
            number
            for number, domain, disk in zip(look.exact, look.domain, look.on_disk, strict=True)
            if names[domain] == name and not disk
        }
        for name in names
    }
    assert len(classes["domU1"] & classes["domU2"]) >= NUMBER * 0.9
    # what an earlier test had the store keep smaller is no sharing
    smaller = sum(one["received_bytes"] - one["kept_bytes"] for one in table["forms"].values())
    charged = sum(one["charged_bytes"] for one in books.values())
    saved = charged - table["payload_bytes"] - smaller
    in_store = [index for index, disk in enumerate(look.on_disk) if not disk]
    columns = (look.domain, look.exact, look.length)
    assert ceiling(*([column[i] for i in in_store] for column in columns)).total_bytes == saved
    on_disk = len(look.on_disk) - len(in_store)
    assert on_disk >= refused["reject_no_credit"] - before["reject_no_credit"] > 0
    assert all(0 < seconds < 60 for seconds in held.paused_seconds.values())

    memory = look_at_memory(held.memory, look.digests)
    given = sum(domain.description.memory_mib << 20 for domain in domains) // 4096
    assert given // 4 < memory.pages < given + XEN_PAGES
    assert sum(size * count for size, count in memory.pointers.items()) == memory.pages
