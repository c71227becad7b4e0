"""Pages go out under real reclaim and come back equal, shared where they are equal."""

from __future__ import annotations

import pytest

from orchestrator.deadline import Deadline
from tests.system.pages import Pages

NUMBER = 1000


def test_both_domains_reach_the_store(pages: Pages) -> None:
    status = pages.store("status")
    assert {"domU1", "domU2"} <= set(status["connected"])
    for name in ("domU1", "domU2"):
        assert pages.counters(name)["frontend_bytes"] > 0


@pytest.mark.parametrize("kind", ["zero", "same", "text", "random"])
def test_page_of_each_kind_comes_back_equal(pages: Pages, kind: str) -> None:
    before = pages.counters("domU1")
    # more than the domU has memory: the kernel itself must choose and reclaim
    with pages.held("domU1", NUMBER, kind, seed=7, pressure=15000) as (job, held):  # type: ignore[arg-type]
        assert held["swapped_kib"] > 4 * NUMBER * 0.9
        out = pages.counters("domU1")
        verified = pages.bring_back(job)
    after = pages.counters("domU1")

    assert verified["mismatches"] == 0
    stored = "stores_same_filled" if kind in ("zero", "same") else "stores"
    loaded = "loads_same_filled" if kind in ("zero", "same") else "loads"
    assert out[stored] - before[stored] >= NUMBER * 0.9
    assert after[loaded] - before[loaded] >= NUMBER * 0.9
    errors = [name for name in after if name.startswith("load_error_")]
    assert {name: after[name] for name in errors} == {name: before[name] for name in errors}


def test_equal_pages_of_two_domains_are_kept_once(pages: Pages) -> None:
    empty = pages.store("stats")["table"]["payload_bytes"]
    with pages.held("domU1", NUMBER, "text", seed=11, pageout=True) as (first, _):
        alone = pages.store("stats")["table"]["payload_bytes"] - empty
        with pages.held("domU2", NUMBER, "text", seed=11, pageout=True):
            both = pages.store("stats")
            assert pages.store("verify")["problems"] == []
        # the second copy costs next to nothing
        assert both["table"]["payload_bytes"] - empty < alone * 1.2
        assert both["service"]["shared_hits"] >= NUMBER * 0.9
        # the second domU dropped its pages; the first one's are all there
        assert pages.bring_back(first)["mismatches"] == 0


def test_pages_that_differ_are_not_shared(pages: Pages) -> None:
    before = pages.store("stats")["service"]["shared_hits"]
    with (
        pages.held("domU1", NUMBER, "random", seed=21, pageout=True) as (first, _),
        pages.held("domU2", NUMBER, "random", seed=22, pageout=True) as (second, _),
    ):
        assert pages.store("stats")["service"]["shared_hits"] - before < NUMBER * 0.1
        assert pages.bring_back(first)["mismatches"] == 0
        assert pages.bring_back(second)["mismatches"] == 0


def test_pages_compressed_otherwise_come_back_equal(pages: Pages) -> None:
    domain = pages.domain("small")
    node = f"/local/domain/{domain.domid}/device/pageshare/0/encoding"
    said = pages.machine.dom0.ssh.run(["xenstore-read", node], deadline=Deadline.after(60))
    assert said.stdout.strip() == "zstd"
    before = pages.counters("small")
    with pages.held("small", 300, "text", seed=29, pageout=True) as (job, _):
        out = pages.counters("small")
        assert pages.bring_back(job)["mismatches"] == 0
    after = pages.counters("small")
    assert out["stores"] - before["stores"] >= 300 * 0.9
    assert after["loads"] - before["loads"] >= 300 * 0.9


def test_full_store_sends_pages_to_the_swap_disk(pages: Pages) -> None:
    # 6 MB of pages that do not compress, for a quota of 2 MiB
    with pages.held("small", NUMBER, "random", seed=31, pageout=True) as (job, held):
        assert held["swapped_kib"] > 4 * NUMBER * 0.9
        counters = pages.counters("small")
        written = pages.domain("small").ssh.run(
            "grep ^pswpout /proc/vmstat", deadline=Deadline.after(60)
        )
        charged = pages.store("stats")["domains"]["small"]["charged_bytes"]
        assert pages.bring_back(job)["mismatches"] == 0
    assert counters["reject_no_credit"] > 0
    assert counters["held_pages"] > 0
    assert charged <= 2 << 20
    # every page that is out and not in the store went to the disk
    assert int(written.stdout.split()[1]) >= held["swapped_kib"] // 4 - counters["held_pages"] > 0


def test_destroyed_domain_leaves_nothing_in_the_table(pages: Pages) -> None:
    machine = pages.machine
    with pages.held("domU1", NUMBER, "text", seed=41, pageout=True) as (kept, _):
        before = pages.store("status")["references"]["domU2"]
        job = pages.held("domU2", NUMBER, "text", seed=41, pageout=True)
        with job:
            assert pages.store("status")["references"]["domU2"] - before >= NUMBER * 0.9
            machine.destroy_domain("domU2", Deadline.after(60))
            deadline = Deadline.after(60)
            while "domU2" in pages.store("status")["connected"]:
                assert not deadline.expired, "the store did not notice that domU2 is gone"
            assert "domU2" not in pages.store("status")["references"]
            assert pages.store("verify")["problems"] == []
            machine.create_domain("domU2", Deadline.after(120))
        assert pages.bring_back(kept)["mismatches"] == 0
    assert pages.store("status")["references"].get("domU2", 0) < NUMBER / 2
