"""A frontend in Python that speaks the protocol's bytes, and what it needs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.store.config import DomainConfig, StoreConfig
from testbed.store.protocol import (
    COUNTERS,
    KEY,
    MARK_HEADER,
    REQUEST,
    VERSION,
    Encoding,
    Op,
)
from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.store import Store
from testbed.store.transport.frontend import FRONT_LIBRARY_NAME, FrontLibrary, FrontRing
from testbed.store.transport.inprocess import InProcessEdge
from testbed.store.transport.interface import Batch
from testbed.store.transport.native import RingLibrary

NATIVE = Path(__file__).resolve().parents[3] / "testbed" / "store" / "native"


@functools.cache
def native_folder() -> Path:
    """Builds the native piece and its test doubles for this machine, once a test run."""
    folder = tempfile.TemporaryDirectory(prefix="pageshare-native-")
    _folders.append(folder)
    subprocess.run(
        ["make", "-C", NATIVE, "CC=gcc", f"OUT={folder.name}", "all", "test-front", "test-tape"],
        check=True,
        capture_output=True,
    )
    return Path(folder.name)


_folders: list[tempfile.TemporaryDirectory] = []


def kernel_compile_lengths(count: int, seed: int = 1) -> list[int]:
    """Compressed lengths of a kernel compile's pages: 100 to 4096 bytes, median about 900."""
    spread = random.Random(seed)
    return [min(4096, max(100, int(spread.lognormvariate(6.8, 0.45)))) for _ in range(count)]


@contextlib.contextmanager
def tmpfs_folder(otherwise: Path):
    """A folder in memory where the machine has one: nothing is written to a disk."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else otherwise
    with tempfile.TemporaryDirectory(prefix="pageshare-", dir=parent) as folder:
        yield Path(folder)


@functools.cache
def ring_library() -> RingLibrary:
    return RingLibrary(native_folder() / "libpageshare_ring.so")


@functools.cache
def front_library() -> FrontLibrary:
    return FrontLibrary(native_folder() / FRONT_LIBRARY_NAME)


@dataclass(frozen=True)
class Response:
    id: int
    op: int
    encoding: int
    status: int
    length: int
    page_id: int
    store_limit: int
    reserved: int


def request(op, *, data_page=0, length=0, swap_type=0, offset=0, generation=0, **rest):
    """The bytes of one request."""
    fields = {"id": 0, "encoding": 0, "page_id": 0, "flags": 0} | rest
    return REQUEST.pack(
        fields["id"],
        op,
        fields["encoding"],
        data_page,
        length,
        swap_type,
        fields["flags"],
        offset,
        generation,
        fields["page_id"],
    )


class Frontend(FrontRing):
    """A domU's end, with an operation for each request."""

    def __init__(self, nr_data_pages: int = 32, ring_order: int = 0) -> None:
        super().__init__(front_library(), nr_data_pages, ring_order)
        self._ids = itertools.count(1)
        self.turn = lambda: None
        """Lets the store run."""

    def receive(self) -> list[Response]:
        return [Response(*fields) for fields in super().receive()]

    def ask(self, *requests: bytes) -> list[Response]:
        """Sends, lets the store run, and returns the responses."""
        self.send(*requests)
        self.turn()
        return self.receive()

    # Operations, one request each

    def store(self, offset, payload, *, generation=1, encoding=Encoding.LZ4, swap_type=0, flags=0):
        self.write_page(0, payload)
        return self.ask(
            request(
                Op.STORE,
                id=next(self._ids) & 0xFFFF,
                encoding=encoding,
                length=len(payload),
                swap_type=swap_type,
                flags=flags,
                offset=offset,
                generation=generation,
            )
        )[0]

    def load(self, offset, page_id, *, generation=1, swap_type=0) -> tuple[Response, bytes]:
        (response,) = self.ask(
            request(
                Op.LOAD,
                data_page=1,
                swap_type=swap_type,
                offset=offset,
                generation=generation,
                page_id=page_id,
            )
        )
        return response, self.read_page(1, response.length)

    def invalidate(self, *keys: tuple[int, int, int]) -> Response:
        """``keys``: (swap type, offset, generation)."""
        payload = b"".join(KEY.pack(t, g, o) for t, o, g in keys)
        self.write_page(2, payload)
        return self.ask(request(Op.INVALIDATE, data_page=2, length=len(payload)))[0]

    def invalidate_area(self, swap_type: int) -> Response:
        return self.ask(request(Op.INVALIDATE_AREA, swap_type=swap_type))[0]

    def mark(self, **counters: int) -> Response:
        values = [counters.get(name, 0) for name in COUNTERS]
        payload = MARK_HEADER.pack(VERSION, len(COUNTERS))
        payload += b"".join(value.to_bytes(8, "little") for value in values)
        self.write_page(3, payload)
        return self.ask(request(Op.MARK, data_page=3, length=len(payload)))[0]


def make_config(
    folder: Path, quotas: dict[str, int] | None = None, groups=None, engine="native"
) -> StoreConfig:
    """A configuration whose paths lie in ``folder``; 1 MiB for each of two domUs."""
    quotas = quotas or {"domU1": 1 << 20, "domU2": 1 << 20}
    domains = tuple(DomainConfig(n, q, (groups or {}).get(n, "all")) for n, q in quotas.items())
    return StoreConfig(
        arena_bytes=sum(quotas.values()),
        state_path=folder / "state",
        mark_interval_ms=100,
        records=folder / "records.jsonl",
        control_socket=folder / "control",
        max_data_pages=64,
        domains=domains,
        engine=engine,
    )


class Bench:
    """A store over an in-process edge, with frontends by domain name."""

    def __init__(
        self, folder: Path, quotas=None, groups=None, state_path=None, engine="native"
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.config = make_config(folder, quotas, groups, engine)
        if state_path:
            self.config = dataclasses.replace(self.config, state_path=state_path)
        self._frontends: list[Frontend] = []
        self.start()

    def start(self) -> None:
        """Starts a store on what the last one left."""
        config = self.config
        self.sink = RecordSink(config.records)
        self.batch = Batch()
        self.edge = InProcessEdge(ring_library(), self.batch)
        groups = [domain.group for domain in config.domains]
        table, recovered = open_table(config.arena_bytes, groups, config.state_path)
        self.arena = table.arena
        self.store = Store(config, table, recovered, self.batch, self.sink)
        self.store.use(self.edge)
        ((_, self._wake),) = self.edge.sources()

    def connect(self, name: str, nr_data_pages: int = 32, ring_order: int = 0, life=None):
        frontend = Frontend(nr_data_pages, ring_order)
        frontend.turn = self.turn
        self._frontends.append(frontend)
        self.welcome = self.edge.attach(name, frontend.shared, life)
        return frontend

    def verify(self):
        """The answer of the control socket's ``verify``."""
        *_, answer = self.store.verify()
        return answer

    def turn(self) -> None:
        """What the service's loop does until nothing is left."""
        self._wake()
        while self.store.continue_pending():
            pass

    def stop(self) -> None:
        """What SIGTERM does: the state stays."""
        self.edge.close()
        state = self.store.table.state
        self.store.close()
        state.close()
        self.sink.close()

    def close(self) -> None:
        self.stop()
        for frontend in self._frontends:
            frontend.close()
