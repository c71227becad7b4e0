"""The native loop waits for ports like event channels' and serves who sent them."""

from __future__ import annotations

import ctypes
import os
import selectors
import socket
import struct

import pytest

from testbed.store.engine import ROUNDS
from testbed.store.protocol import Op
from testbed.store.transport.interface import BATCH
from tests.unit.store.support import Bench, request


class Dom0:
    """A store whose domains' events come by one descriptor, as from ``/dev/xen/evtchn``."""

    def __init__(self, folder) -> None:
        self.bench = Bench(folder)
        self.selector = selectors.EpollSelector()
        self.xen, self.device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.xen.setblocking(False)
        self.bench.edge.events_fd = self.device.fileno
        self.selector.register(self.device, selectors.EVENT_READ, "events")
        self.notified: list[int] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
        self._notify = signature(lambda _, port: self.notified.append(port) or 0)

    def connect(self, name: str, port: int, ring_order: int = 0):
        frontend = self.bench.connect(name, 8, ring_order)
        state = self.bench.store.connections[name].state
        state.port = port
        state.notify = ctypes.cast(self._notify, ctypes.c_void_p).value
        return frontend

    def fire(self, *ports: int) -> None:
        self.xen.send(struct.pack(f"<{len(ports)}I", *ports))

    def unmasked(self) -> list[int]:
        ports: list[int] = []
        while True:
            try:
                data = self.xen.recv(1024)
            except BlockingIOError:
                return ports
            ports += struct.unpack(f"<{len(data) // 4}I", data)

    def select(self):
        return self.bench.store.select(self.selector, 0)

    def close(self):
        self.bench.close()
        self.selector.close()
        self.xen.close()
        self.device.close()


@pytest.fixture
def dom0(tmp_path):
    machine = Dom0(tmp_path)
    yield machine
    machine.close()


def test_who_fires_is_served_notified_and_unmasked(dom0):
    one, two = dom0.connect("domU1", 7), dom0.connect("domU2", 9)
    one.send(request(Op.INVALIDATE))
    two.send(request(Op.INVALIDATE))
    dom0.fire(7)
    assert dom0.select() == ([], True)
    assert len(one.receive()) == 1
    assert two.receive() == []
    assert (dom0.notified, dom0.unmasked()) == ([7], [7])
    assert dom0.bench.store.stats()["service"]["busy_seconds"] > 0
    dom0.fire(8, 9)  # 8 is nobody's any more
    dom0.select()
    assert len(two.receive()) == 1
    assert dom0.unmasked() == [8, 9]


def test_nothing_is_nothing(dom0):
    dom0.connect("domU1", 7)
    assert dom0.select() == ([], False)


def test_other_descriptors_are_told(dom0):
    frontend = dom0.connect("domU1", 7)
    event = os.eventfd(1)
    dom0.selector.register(event, selectors.EVENT_READ, "other")
    frontend.send(request(Op.INVALIDATE))
    dom0.fire(7)
    ready, served = dom0.select()
    assert served
    assert [key.data for key, _ in ready] == ["other"]
    assert len(frontend.receive()) == 1
    os.close(event)


def test_what_is_for_python_is_answered_in_its_place(dom0):
    frontend = dom0.connect("domU1", 7)
    frontend.turn = lambda: (dom0.fire(7), dom0.select())
    rows = frontend.store(1, b"x" * 100), frontend.store(2, b"y" * 100)
    assert frontend.mark(held_pages=2).status == 0
    assert dom0.bench.store.connections["domU1"].mark["held_pages"] == 2
    asked = [request(Op.INVALIDATE, id=1), request(99, id=2), request(Op.INVALIDATE, id=3)]
    assert [(r.id, r.status) for r in frontend.ask(*asked)] == [(1, 0), (2, -2), (3, 0)]
    assert frontend.load(2, rows[1].page_id)[1] == b"y" * 100


def test_an_invalidation_that_ends_in_python_counts_each_key_once(dom0):
    frontend = dom0.connect("domU1", 7)
    frontend.turn = lambda: (dom0.fire(7), dom0.select())
    for offset in range(3):
        frontend.store(offset, b"%d" % offset * 100)
    frontend.invalidate(
        (0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1)
    )  # the table is empty at the third
    counters = dom0.bench.store.connections["domU1"].counters
    assert (counters.invalidates, counters.invalidates_stale) == (3, 1)


def test_one_that_floods_waits_for_the_others(dom0):
    flood, other = dom0.connect("domU1", 7, ring_order=3), dom0.connect("domU2", 9)
    for _ in range(flood.entries):
        flood.send(request(Op.INVALIDATE))
    other.send(request(Op.INVALIDATE))
    answered = []
    before = dom0.bench.store.connections["domU1"].counters

    def notified(_handle, port):
        answered.append((port, before.requests))
        return 0

    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
    callback = signature(notified)
    for connection in dom0.bench.store.connections.values():
        connection.state.notify = ctypes.cast(callback, ctypes.c_void_p).value
    dom0.fire(7, 9)
    dom0.select()
    assert len(flood.receive()) == flood.entries
    assert len(other.receive()) == 1
    assert dict(answered[::-1])[9] == ROUNDS * BATCH


def test_a_violation_ends_one_connection(dom0):
    bad, good = dom0.connect("domU1", 7), dom0.connect("domU2", 9)
    bad.shared.memory[0:4] = struct.pack("<I", 1 << 31)
    good.send(request(Op.INVALIDATE))
    dom0.fire(7, 9)
    dom0.select()
    dom0.select()
    assert list(dom0.bench.store.connections) == ["domU2"]
    assert "index is impossible" in dom0.bench.edge.disconnections[0][1]
    assert len(good.receive()) == 1
