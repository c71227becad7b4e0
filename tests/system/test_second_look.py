"""The second look in dom0, with dom0's own libraries: domUs get their pages back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.artifacts.payload import build_front_library
from orchestrator.deadline import Deadline
from orchestrator.machine import Machine
from orchestrator.parts import Parts
from tests.system.pages import Pages

NUMBER = 400
CONFIG = "/run/second-look.toml"
LIBRARY = "/run/libpageshare_front.so"


def kept_smaller(forms: dict[str, dict[str, int]]) -> int:
    return sum(form["entries"] for form in forms.values())


@contextmanager
def looking_again(pages: Pages) -> Iterator[None]:
    """The store starts anew on what it holds, with a second look that waits for little."""
    store, ssh = pages.machine.store, pages.machine.dom0.ssh
    settings = "[store.second_look]\ncold_seconds = 0.2\ncpu_share = 1.0\n"
    given = ssh.run("cat /payload/store.toml", deadline=Deadline.after(60)).stdout
    ssh.write_file(CONFIG, (given + settings).encode(), deadline=Deadline.after(60))
    store.stop(Deadline.after(60))
    store.arguments = ("--config", CONFIG)
    try:
        store.start_again(Deadline.after(60))
        yield
    finally:
        store.stop(Deadline.after(60))
        store.arguments = ()
        store.start_again(Deadline.after(60))


def test_pages_that_are_kept_smaller_come_back(pages: Pages) -> None:
    with (
        looking_again(pages),
        pages.held("domU1", NUMBER, "text", seed=81, pageout=True) as (one, _),
        pages.held("domU2", NUMBER, "text", seed=82, pageout=True) as (other, _),
    ):
        deadline = Deadline.after(180)
        while kept_smaller(forms := pages.store("stats")["table"]["forms"]) < NUMBER:
            assert not deadline.expired, forms
            time.sleep(1)
        assert all(
            form["kept_bytes"] < form["received_bytes"]
            for form in forms.values()
            if form["entries"]
        )
        assert pages.store("verify")["problems"] == []
        assert pages.bring_back(one)["mismatches"] == 0
        # a store without a second look still reads what the other one wrote
        pages.machine.store.kill(Deadline.after(60))
        pages.machine.store.arguments = ()
        pages.machine.store.start_again(Deadline.after(60))
        assert pages.bring_back(other)["mismatches"] == 0
        assert pages.store("verify")["problems"] == []


def test_dom0s_libraries_make_every_form(machine: Machine, parts: Parts) -> None:
    ssh, deadline = machine.dom0.ssh, Deadline.after(240)
    library = build_front_library(parts.context).path
    ssh.write_file(LIBRARY, library.read_bytes(), deadline=deadline)
    command = f"PYTHONPATH=/payload python3 -m testbed.timing.kept --front {LIBRARY} --pages 5"
    found = json.loads(ssh.run(command, deadline=deadline).stdout)
    assert set(found) == {"received", "recompressed", "twin", "near_twin"}
