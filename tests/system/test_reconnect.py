"""A store that dies, stands still or is asked to empty: nothing is lost."""

from __future__ import annotations

import time

import pytest

from orchestrator.deadline import Deadline
from tests.system.pages import Pages

NUMBER = 600
SECONDS = 60


def deadline() -> Deadline:
    return Deadline.after(SECONDS)


def books(pages: Pages) -> dict[str, bool]:
    """Whether what each domU said at its last MARK, and does not change now, is so."""
    time.sleep(2)  # MARKs come twice a second
    references = pages.store("status")["references"]
    marks = pages.store("marks")
    return {name: mark["held_pages"] == references[name] for name, mark in marks.items()}


def test_killed_store_finds_every_page_again(pages: Pages) -> None:
    before = pages.counters("domU1")
    with (
        pages.held("domU1", NUMBER, "text", seed=61, pageout=True) as (first, _),
        pages.held("domU2", NUMBER, "text", seed=61, pageout=True) as (second, _),
    ):
        pages.machine.store.kill(deadline())
        # what goes out now waits in the window, or goes to the swap disk
        with pages.held("domU1", NUMBER, "mixed", seed=62, pageout=True) as (meanwhile, _):
            pages.machine.store.start_again(deadline())
            assert pages.bring_back(meanwhile)["mismatches"] == 0
        assert pages.bring_back(first)["mismatches"] == 0
        assert pages.bring_back(second)["mismatches"] == 0
    after = pages.counters("domU1")
    assert after["reconnects"] == before["reconnects"] + 1
    assert after["resent"] > before["resent"]
    assert pages.store("verify")["problems"] == []
    assert all(books(pages).values())


def test_loads_wait_while_the_store_stands_still(pages: Pages) -> None:
    with pages.held("domU1", NUMBER, "text", seed=63, pageout=True) as (job, _):
        pages.machine.store.freeze(deadline())
        try:
            job.release(deadline())
            time.sleep(3)
            assert job.job.poll(deadline=deadline()) is None, "a page came from nowhere"
        finally:
            pages.machine.store.thaw(deadline())
        assert job.result(deadline())["mismatches"] == 0


def test_a_waiting_process_can_be_killed(pages: Pages) -> None:
    with pages.held("domU1", NUMBER, "text", seed=64, pageout=True) as (job, _):
        pages.machine.store.freeze(deadline())
        try:
            job.release(deadline())
            time.sleep(2)
            job.job.stop("KILL", deadline=deadline())
            assert job.job.wait(deadline=deadline(), interval=0.5) != 0
        finally:
            pages.machine.store.thaw(deadline())
    assert all(books(pages).values())


def test_a_page_that_was_given_up_comes_back_with_the_store(pages: Pages) -> None:
    number = 8
    # of the second, more than the window takes: the first are in the store by then
    with (
        pages.held("victim", number, "random", seed=69, pageout=True, again=True) as (job, _),
        pages.held("victim", NUMBER, "random", seed=70, pageout=True),
    ):
        pages.machine.store.freeze(deadline())
        try:
            given_up = job.read_back(deadline())  # each after a second, see conftest.py
        finally:
            pages.machine.store.thaw(deadline())
        assert given_up["errors"] == number
        again = job.release_again(deadline())
        assert (again["errors"], again["mismatches"]) == (0, 0)


def test_store_that_is_busy_elsewhere_sends_pages_to_the_swap_disk(pages: Pages) -> None:
    before = pages.counters("domU2")
    pages.machine.store.freeze(deadline())
    try:
        with pages.held("domU2", NUMBER * 2, "random", seed=65, pageout=True) as (job, held):
            assert held["swapped_kib"] > 4 * NUMBER * 2 * 0.9
            pages.machine.store.thaw(deadline())
            assert pages.bring_back(job)["mismatches"] == 0
    finally:
        pages.machine.store.thaw(deadline())
    after = pages.counters("domU2")
    assert after["reject_timeout"] > before["reject_timeout"]
    assert after["reject_no_buffer"] > before["reject_no_buffer"]


def test_swapoff_brings_every_page_back(pages: Pages) -> None:
    ssh = pages.domain("domU1").ssh
    device = ssh.run("sed -n 's, .*,,; 2p' /proc/swaps", deadline=deadline()).stdout.strip()
    with pages.held("domU1", NUMBER, "text", seed=66, pageout=True) as (job, _):
        ssh.run(["swapoff", device], deadline=Deadline.after(120))
        try:
            assert pages.counters("domU1")["held_pages"] == 0
            assert pages.bring_back(job)["mismatches"] == 0
            time.sleep(2)
            assert pages.store("status")["references"].get("domU1", 0) == 0
        finally:
            ssh.run(["swapon", device], deadline=deadline())
    # and it is used again
    with pages.held("domU1", NUMBER, "text", seed=67, pageout=True) as (job, _):
        assert pages.store("status")["references"]["domU1"] > NUMBER * 0.9
        assert pages.bring_back(job)["mismatches"] == 0
    assert all(books(pages).values())


@pytest.mark.parametrize("kind", ["text", "random"])
def test_page_in_flight_is_loaded_from_the_window(pages: Pages, kind: str) -> None:
    before = pages.counters("domU2")
    pages.machine.store.freeze(deadline())
    try:
        # fewer than the window has data pages: all of them are accepted
        with pages.held("domU2", 100, kind, seed=68, pageout=True) as (job, held):
            assert held["swapped_kib"] > 4 * 100 * 0.8
            assert pages.bring_back(job)["mismatches"] == 0
    finally:
        pages.machine.store.thaw(deadline())
    assert pages.counters("domU2")["loads_in_flight"] > before["loads_in_flight"]
