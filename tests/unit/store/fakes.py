"""Xen as far as the edge sees it, in this process."""

from __future__ import annotations

import ctypes
import os
import struct
from array import array

from testbed.store.errors import TransportError
from testbed.store.protocol import PAGE_SIZE
from tests.unit.store.support import Frontend


class FakeTransaction:
    def __init__(self, store: FakeXenStore, nodes: dict, permissions: dict) -> None:
        self.store, self.nodes, self.permissions = store, nodes, permissions
        self.touched: list[str] = []
        self.generation = store.generation

    def read(self, path):
        return self.nodes.get(path)

    def list(self, path):
        names = [p[len(path) + 1 :].split("/")[0] for p in self.nodes if p.startswith(path + "/")]
        return list(dict.fromkeys(names))

    def write(self, path, value):
        assert isinstance(value, str)
        parts = path.split("/")
        for depth in range(2, len(parts)):
            self._make("/".join(parts[:depth]))
        self._make(path)
        self.nodes[path] = value
        self.touched.append(path)

    def make(self, path, permissions):
        self.write(path, "")
        self.permissions[path] = list(permissions)

    def remove(self, path):
        for node in [p for p in self.nodes if p == path or p.startswith(path + "/")]:
            del self.nodes[node]
            del self.permissions[node]
        self.touched.append(path)

    def end(self, *, abort):
        if abort:
            return True
        if self.store.disturb:
            self.store.disturb -= 1
            return False
        self.store.nodes, self.store.permissions = self.nodes, self.permissions
        for path in self.touched:
            self.store.fire(path)
        return True

    def _make(self, path):
        if path not in self.nodes:
            self.nodes[path] = ""
            parent = path.rpartition("/")[0]
            self.permissions[path] = list(self.permissions.get(parent, [(0, False)]))


class FakeXenStore(FakeTransaction):
    """Watches fire on the node, below it, and when a parent is removed."""

    def __init__(self) -> None:
        self.generation = 0
        self.disturb = 0
        super().__init__(self, {}, {})
        self.watches: dict[str, str] = {}
        self.fired: list[str] = []
        self.closed = False
        self._event = os.eventfd(0, os.EFD_NONBLOCK)

    def write(self, path, value):
        super().write(path, value)
        self.fire(path)

    def remove(self, path):
        super().remove(path)
        self.fire(path)

    def fire(self, path):
        for watched, token in self.watches.items():
            if f"{path}/".startswith(f"{watched}/") or f"{watched}/".startswith(f"{path}/"):
                self.fired.append(token)
                os.eventfd_write(self._event, 1)

    def fileno(self):
        return self._event

    def watch(self, path, token):
        self.watches[path] = token
        self.fired.append(token)
        os.eventfd_write(self._event, 1)

    def unwatch(self, path):
        self.watches.pop(path, None)

    def next_event(self):
        if not self.fired:
            return None
        return self.fired.pop(0)

    def begin(self):
        return FakeTransaction(self, dict(self.nodes), dict(self.permissions))

    def close(self):
        self.closed = True
        os.close(self._event)


class FakeGrants:
    """Grants: 10+n page n of a frontend's ring, 2 its directory, 100+n data page n."""

    def __init__(self) -> None:
        self.frontends: dict[int, FakeFrontend] = {}
        self.mapped: dict[int, int] = {}
        self.closed = False

    def _map(self, address, pages):
        self.mapped[address] = pages
        return address

    def forget(self):
        """What the kernel does when the store is killed."""
        self.mapped.clear()

    def map_pages(self, domid, references, *, writable):
        first = self._page(domid, references[0])
        assert writable == (references[0] != 2)
        for at, reference in enumerate(references):
            assert self._page(domid, reference) == first + at * PAGE_SIZE
        return self._map(first, len(references))

    def _page(self, domid, reference):
        frontend = self.frontends[domid]
        shared = frontend.ends.shared
        if reference == 2:
            return shared.data_address + frontend.data_pages * PAGE_SIZE
        if 10 <= reference < 10 + (1 << shared.ring_order):
            return shared.ring_address + (reference - 10) * PAGE_SIZE
        if 100 <= reference < 100 + frontend.data_pages:
            return shared.data_address + (reference - 100) * PAGE_SIZE
        raise TransportError(f"map of grant {reference} of domain {domid}: Invalid argument")

    def unmap(self, address, pages):
        assert self.mapped.pop(address) == pages

    def close(self):
        assert not self.mapped, "something stayed mapped"
        self.closed = True


class FakeEvents:
    def __init__(self) -> None:
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
        self._callback = signature(lambda _, port: self.notify(port) or 0)
        self.bound: dict[int, tuple[int, int]] = {}
        self.notified: list[int] = []
        self.masked: set[int] = set()
        self.overflow = False
        self._next = 10
        self._pending: list[int] = []
        self._event = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self):
        return self._event

    def bind(self, domid, remote_port):
        if remote_port == 666:
            raise TransportError(f"bind to port 666 of domain {domid}: Invalid argument")
        self._next += 1
        self.bound[self._next] = (domid, remote_port)
        return self._next

    def unbind(self, port):
        del self.bound[port]

    def notify(self, port):
        self.notified.append(port)

    def raise_(self, port):
        self._pending.append(port)
        os.eventfd_write(self._event, 1)

    def pending(self):
        if self.overflow:
            self.overflow = False
            return None
        ports, self._pending = array("I", self._pending), []
        self.masked.update(ports)
        return ports

    @property
    def notifier(self):
        return ctypes.cast(self._callback, ctypes.c_void_p).value, 1

    def unmask(self, ports):
        self.masked.difference_update(ports)

    def close(self):
        assert not self.bound, "a port stayed bound"


class FakeDomains:
    def __init__(self) -> None:
        self.ended: dict[int, str] = {}
        self.alive: set[int] = set()

    def end_of(self, domid):
        if domid in self.ended:
            return self.ended[domid]
        return None if domid in self.alive else "the domain is gone"


class FakeFrontend:
    """What the kernel driver does in xenstore; its ring ends are a ``Frontend``."""

    def __init__(self, machine, domid: int, data_pages: int = 8, ring_order: int = 0) -> None:
        self.machine, self.domid, self.data_pages = machine, domid, data_pages
        self.ring_order, self.epoch, self.port = ring_order, f"{domid:x}abc", 5
        self.new_ring()
        self.path = f"/local/domain/{domid}/device/pageshare/0"
        machine.grants.frontends[domid] = self

    def _references(self):
        return range(100, 100 + self.data_pages)

    def new_ring(self):
        """As after a reconnection: an empty ring, another event channel."""
        self.ends = Frontend(self.data_pages + 1, self.ring_order)  # the last is the directory
        directory = struct.pack(f"<{self.data_pages}I", *self._references())
        self.ends.write_page(self.data_pages, directory)
        self.port += 1

    def offer(self, **changes):
        nodes = {
            "protocol-version": "1",
            "instance": self.backend("instance"),
            "epoch": self.epoch,
            "ring-page-order": str(self.ring_order),
            **{f"ring-ref{n}": str(10 + n) for n in range(1 << self.ring_order)},
            "directory-ref": "2",
            "event-channel": str(self.port),
            "nr-data-pages": str(self.data_pages),
            "encoding": "lz4",
        } | {name.replace("_", "-"): value for name, value in changes.items()}
        for node, value in nodes.items():
            self.machine.xenstore.write(f"{self.path}/{node}", value)
        self.switch(3)

    def switch(self, state):
        self.machine.xenstore.write(f"{self.path}/state", str(state))
        self.machine.turn()

    def backend(self, node):
        return self.machine.xenstore.read(
            f"/local/domain/0/backend/pageshare/{self.domid}/0/{node}"
        )
