"""dom0 as the store sees it, with domUs that write what they like, over fakes of Xen's interfaces.

Grants are real mappings here: a domU's memory is a file, and what is unmapped
is gone, so that a store which touched it still would be killed.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import mmap
import os
import shutil
import struct
import tempfile
from pathlib import Path

from testbed.store.errors import TransportError
from testbed.store.protocol import PAGE_SIZE, RESPONSE
from tests.fuzz.subject import MAX_DATA_PAGES, fuzz_config
from tests.unit.store.dom0 import FakeDom0
from tests.unit.store.fakes import FakeDomains, FakeEvents, FakeXenStore

__all__ = ["DIRECTORY", "GUEST_PAGES", "Dom0", "Guest"]

GUEST_PAGES = 24
"""Pages 0 to 7 for a ring, 8 the directory, 10 and more for data; each granted under its number."""
DIRECTORY, FIRST_DATA = 8, 10
_MAP_FIXED, _FAILED = 0x10, ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Guest:
    """A domU's memory, and what it says in xenstore."""

    def __init__(self, dom0: Dom0, domid: int, name: str) -> None:
        self.dom0, self.domid, self.name = dom0, domid, name
        self.fd = os.memfd_create(f"domain{domid}")
        os.ftruncate(self.fd, GUEST_PAGES * PAGE_SIZE)
        self.memory = mmap.mmap(self.fd, GUEST_PAGES * PAGE_SIZE)
        self.path = f"/local/domain/{domid}/device/pageshare/0"
        self.backend = f"/local/domain/0/backend/pageshare/{domid}/0"
        self.port = 5
        self.sent = 0
        self.new_ring()

    def new_ring(self) -> None:
        """As the kernel does before it connects: an empty ring, another port."""
        self.port += 1
        self.sent = 0
        self.memory[: 8 * PAGE_SIZE] = struct.pack("<4I", 0, 1, 0, 1).ljust(8 * PAGE_SIZE, b"\0")
        self.write_directory(range(FIRST_DATA, FIRST_DATA + MAX_DATA_PAGES))

    def write_directory(self, references) -> None:
        at = DIRECTORY * PAGE_SIZE
        self.memory[at : at + 4 * MAX_DATA_PAGES] = struct.pack("<8I", *references)

    def nodes(self) -> dict[str, str]:
        """What an honest frontend offers."""
        return {
            "protocol-version": "1",
            "instance": self.dom0.xenstore.nodes.get(f"{self.backend}/instance", ""),
            "epoch": f"{self.domid:x}abc",
            "ring-page-order": "0",
            "ring-ref0": "0",
            "directory-ref": str(DIRECTORY),
            "event-channel": str(self.port),
            "nr-data-pages": str(MAX_DATA_PAGES),
            "encoding": "lz4",
        }

    def state(self) -> str | None:
        """The backend's."""
        return self.dom0.xenstore.nodes.get(f"{self.backend}/state")

    def write(self, node: str, value: str) -> None:
        self.dom0.xenstore.write(f"{self.path}/{node}", value)

    def connect(self) -> None:
        """The whole handshake of an honest frontend."""
        self.new_ring()
        self.write("state", "1")
        self.dom0.turn()
        for node, value in self.nodes().items():
            self.write(node, value)
        self.write("state", "3")
        self.dom0.turn()
        assert self.state() == "4", f"{self.name} is in state {self.state()}"
        self.write("state", "4")
        self.dom0.turn()

    def write_page(self, page: int, data: bytes) -> None:
        at = (FIRST_DATA + page) * PAGE_SIZE
        self.memory[at : at + len(data)] = data

    def page(self, page: int, length: int) -> bytes:
        at = (FIRST_DATA + page) * PAGE_SIZE
        return self.memory[at : at + length]

    def send(self, request: bytes) -> None:
        """Puts a request into the first page's ring, of 64 entries."""
        at = 64 + self.sent % 64 * 32
        self.memory[at : at + 32] = request
        self.sent = self.sent + 1 & 0xFFFFFFFF
        self.memory[0:4] = self.sent.to_bytes(4, "little")

    def ask(self, request: bytes) -> tuple[int, ...]:
        """The answer to one request. The guest must be an honest one."""
        at = 64 + self.sent % 64 * 32
        self.send(request)
        self.dom0.fire(self.domid)
        assert int.from_bytes(self.memory[8:12], "little") == self.sent
        return RESPONSE.unpack_from(self.memory, at)

    def close(self) -> None:
        self.memory.close()
        os.close(self.fd)


class GrantedMemory:
    """Implements ``GrantTable`` over the guests' files."""

    def __init__(self) -> None:
        self.guests: dict[int, Guest] = {}
        self.revoked: set[tuple[int, int]] = set()
        self.mapped: dict[int, int] = {}

    def map_pages(self, domid, references, *, writable):
        guest = self.guests.get(domid)
        for reference in references:
            if not guest or reference >= GUEST_PAGES or (domid, reference) in self.revoked:
                raise TransportError(f"map of grant {reference} of domain {domid}: no such grant")
        size = len(references) * PAGE_SIZE
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        address = _libc.mmap(None, size, 0, private, -1, 0)
        assert address != _FAILED
        for at, reference in enumerate(references):
            place, flags = address + at * PAGE_SIZE, mmap.MAP_SHARED | _MAP_FIXED
            done = _libc.mmap(place, PAGE_SIZE, protection, flags, guest.fd, reference * PAGE_SIZE)
            assert done == place
        self.mapped[address] = len(references)
        return address

    def unmap(self, address, pages):
        assert self.mapped.pop(address) == pages
        assert not _libc.munmap(address, pages * PAGE_SIZE)

    def forget(self):
        """What the kernel does when the store is killed."""
        for address, pages in list(self.mapped.items()):
            self.unmap(address, pages)

    def close(self):
        assert not self.mapped, "something stayed mapped"


class ShakyXenStore(FakeXenStore):
    """One that fails, and in which others write between two operations."""

    def __init__(self) -> None:
        self.fails = 0
        """So many of the store's next operations raise."""
        self.between: list = []
        """Done one by one, each before one of the store's next operations."""
        super().__init__()

    def _operation(self) -> None:
        if not self.guarded:
            return
        if self.between:
            self.guarded = False
            self.between.pop(0)()
            self.guarded = True
        if self.fails:
            self.fails -= 1
            raise TransportError("xenstore: Input/output error")

    guarded = False
    """Whether it is the store that acts."""

    def read(self, path):
        self._operation()
        return super().read(path)

    def list(self, path):
        self._operation()
        return super().list(path)

    def remove(self, path):
        self._operation()
        super().remove(path)

    def write(self, path, value):
        self._operation()
        super().write(path, value)

    def watch(self, path, token):
        self._operation()
        super().watch(path, token)

    def unwatch(self, path):
        self._operation()
        super().unwatch(path)

    def begin(self):
        self._operation()
        return super().begin()


class OwnedEvents(FakeEvents):
    """Knows which ports are whose."""

    def raise_for(self, domid: int) -> None:
        for port, (owner, _) in self.bound.items():
            if owner == domid:
                self.raise_(port)

    def close(self):
        super().close()
        os.close(self._event)


class Dom0(FakeDom0):
    """A store at Xen's edge, as good as new."""

    def __init__(self, engine: str) -> None:
        logging.disable(logging.CRITICAL)
        memory = Path("/dev/shm")
        parent = memory if memory.is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="pageshare-fuzz-", dir=parent))
        self.guests: dict[int, Guest] = {}
        self._graves: list[Guest] = []
        config = fuzz_config(self._folder, engine)
        super().__init__(config, ShakyXenStore(), GrantedMemory(), OwnedEvents(), FakeDomains())

    def start(self) -> None:
        """Starts a store on what the last one left."""
        self.running = True
        super().start()

    def kill(self) -> None:
        """The store is gone; Xen closes what it had mapped and bound."""
        self.running = False
        super().kill()

    def turn(self) -> None:
        """What the loop does until nothing is left."""
        self.xenstore.guarded = True
        try:
            for _ in itertools.takewhile(lambda _: self.xenstore.fired, range(1000)):
                self._watches()
            assert not self.xenstore.fired, "the watches fire for ever"
            self._ports()
            while self.store.continue_pending():
                pass
        finally:
            self.xenstore.guarded = False

    def fire(self, domid: int) -> None:
        """An event on every port bound for ``domid``."""
        self.events.raise_for(domid)
        self.turn()

    def create(self, domid: int, name: str) -> Guest:
        """What ``xl create`` does."""
        self.domains.ended.pop(domid, None)
        guest = self.guests[domid] = self.grants.guests[domid] = Guest(self, domid, name)
        self.introduce(domid, name)
        return guest

    def destroy(self, domid: int) -> None:
        """What ``xl destroy`` does; nobody can map a page of it afterwards."""
        self._graves.append(self.guests.pop(domid))
        del self.grants.guests[domid]
        super().destroy(domid)

    def close(self) -> None:
        """An orderly stop, which must leave nothing mapped or bound."""
        if self.running:
            self.edge.close()
            assert not self.grants.mapped
            self.close_store()
        self.sink.close()
        for guest in [*self.guests.values(), *self._graves]:
            guest.close()
        shutil.rmtree(self._folder)
