"""Domains are held still, the store's files are of one moment, and all go on again."""

from __future__ import annotations

import json
import threading
import time

import pytest

from orchestrator.oracle import look_at, read_regions
from testbed.still.__main__ import Quiet, hold
from testbed.still.files import copy_files
from testbed.store import service as service_module
from testbed.store.errors import StoreError
from testbed.store.service import Service
from testbed.store.transport.inprocess import InProcessEdge
from tests.unit.oracle.planted import compressed, page
from tests.unit.store.support import Frontend, make_config, ring_library


class Pauser:
    """Writes down who is paused."""

    def __init__(self):
        self.paused, self.said = set(), []

    def domain_pause(self, domid):
        self.paused.add(domid)
        self.said.append(("pause", domid))

    def domain_unpause(self, domid):
        self.paused.remove(domid)
        self.said.append(("unpause", domid))


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A store that runs and holds pages of two domains: twins in two classes."""
    monkeypatch.setattr(service_module, "_IDLE_SECONDS", 0.02)
    config = make_config(tmp_path)
    edges = []

    def make_edge(_, batch):
        edges.append(InProcessEdge(ring_library(), batch))
        return edges[0]

    with Service(config, make_edge) as service:
        ends = {}
        for name in ("domU1", "domU2"):
            ends[name] = end = Frontend()
            edges[0].attach(name, end.shared)
            end.turn = lambda: service.turn(0.0)
            for slot in range(1, 30):
                end.store(slot, compressed(page(slot % 6, shift=slot // 6)))
        ends["domU1"].mark(held_pages=29, same_filled_pages=4, swap_slots_used=35)
        thread = threading.Thread(target=service.run)
        thread.start()
        yield config, service
        service.stop()
        thread.join(10)
        for name, end in ends.items():
            edges[0].disconnect(name, "end of the test")
            end.close()


def domids(service):
    return {domain.name: life.domid for life, domain in service.store.domains.items()}


def wait_for(path):
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    return json.loads(path.read_text())


def test_what_is_copied_is_what_the_store_holds_while_everybody_waits(served, tmp_path):
    config, service = served
    pauser, to = Pauser(), tmp_path / "to"
    to.mkdir()
    found = domids(service)
    until = time.monotonic() + 20
    quiet = Quiet(config.control_socket, until)
    arguments = (pauser, list(found.values()), quiet, config.state_path, to, until)
    thread = threading.Thread(target=hold, args=arguments)
    thread.start()
    still = wait_for(to / "still.json")
    assert pauser.paused == set(found.values())
    time.sleep(0.1)
    assert not (to / "done.json").exists()
    (to / "go").touch()
    done = wait_for(to / "done.json")
    thread.join(10)
    assert pauser.paused == set()
    assert done["in_time"]
    assert all(0.1 < done["paused_seconds"][str(domid)] < 10 for domid in found.values())
    assert still["marks"]["domU1"]["same_filled_pages"] == 4
    assert still["marks"]["domU2"] is None

    store = read_regions(to / "copy", found)
    look = look_at(store, {}, list(found), "lz4")
    stats = still["stats"]
    assert store.kept_bytes == stats["table"]["payload_bytes"]
    for index, name in enumerate(look.names):
        assert look.domain.count(index) == stats["domains"][name]["references"] == 29
    assert len(set(look.exact)) == len({(slot % 6, slot // 6) for slot in range(1, 30)})
    assert len(set(look.pointers)) == 6


def test_domains_go_on_when_nobody_says_so(served, tmp_path):
    config, service = served
    pauser, to = Pauser(), tmp_path / "to"
    to.mkdir()
    until = time.monotonic() + 0.5
    quiet = Quiet(config.control_socket, until)
    hold(pauser, list(domids(service).values()), quiet, config.state_path, to, until)
    assert pauser.paused == set()
    assert not json.loads((to / "done.json").read_text())["in_time"]


def test_domains_go_on_when_the_store_does_not_answer(tmp_path):
    pauser = Pauser()
    quiet = Quiet(tmp_path / "nobody", time.monotonic() + 1)
    with pytest.raises(StoreError, match="cannot be asked"):
        hold(pauser, [3, 4], quiet, tmp_path, tmp_path, time.monotonic() + 1)
    assert pauser.paused == set()
    assert pauser.said == [("pause", 3), ("pause", 4), ("unpause", 4), ("unpause", 3)]


def test_a_store_that_never_rests_is_given_up(monkeypatch, tmp_path):
    requests = iter(range(10**6))
    monkeypatch.setattr(
        "testbed.still.__main__.ask",
        lambda *_, **__: {"service": {"requests": next(requests)}, "arena_moves": 0},
    )
    with pytest.raises(StoreError, match="does not come to rest"):
        Quiet(tmp_path, time.monotonic() + 0.2).stats()


def test_copies_are_sparse_files_without_their_end(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    with (state / "arena").open("wb") as file:
        file.write(b"first")
        file.seek(1 << 20)
        file.write(b"later")
        file.truncate(1 << 30)
    for name in ("header", "lock", "rows-3-00", "rows-4-00.new", "entries.bad"):
        (state / name).write_bytes(name.encode())
    copy = tmp_path / "copy"
    for _ in range(2):  # what an earlier copy left is gone
        copied = copy_files(state, copy)
    assert sorted(path.name for path in copy.iterdir()) == ["arena", "header", "rows-3-00"]
    data = (copy / "arena").read_bytes()
    assert data.rstrip(b"\0") == b"first".ljust(1 << 20, b"\0") + b"later"
    assert len(data) < 2 << 20
    assert copied == sum(path.stat().st_size for path in copy.iterdir())
    assert (copy / "arena").stat().st_blocks * 512 < 1 << 20
