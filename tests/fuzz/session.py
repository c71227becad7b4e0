"""Several domains at one store, or at two that must not differ, with a model beside each domain.

A frontend here is no driver: it is a piece of memory that anything may be
written to. What is written goes to every store alike; after each run every byte
of that memory must be as the domain's model has it.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

from testbed.store.protocol import KEY, REQUEST, Op, Status
from testbed.store.state import Life
from testbed.store.transport.inprocess import SharedMemory
from testbed.store.verification import problems
from tests.fuzz.model import REQ_PROD, Held, Memory, Model, Violation
from tests.fuzz.subject import GROUPS, MAX_DATA_PAGES, QUOTAS, Subject
from tests.property.everything import everything

__all__ = ["NAMES", "Session", "private"]

NAMES = tuple(QUOTAS)
_DOMIDS = {name: number for number, name in enumerate(NAMES, start=1)}
_LOADS_AT_ONCE = 64
_ENTRY = REQUEST.size
_PRIVATE = {name: zlib.crc32(name.encode()).to_bytes(4, "little") * 2 for name in NAMES}


def private(name: str) -> bytes:
    """Eight bytes that only ``name``'s own payloads have in them."""
    return _PRIVATE[name]


class Session:
    """One history. Every method is a step of it."""

    def __init__(self, stores: Sequence[Subject]) -> None:
        self.stores = stores
        for store in stores:
            store.fresh()
        self.models = {name: Model(QUOTAS[name]) for name in NAMES}
        self.epochs = dict.fromkeys(NAMES, 1)
        self.queued: dict[str, int] = {}
        """Free-running index of the next request, by connected domain."""
        self.traces: dict[str, list[object]] = {name: [] for name in NAMES}
        """All that each domain was ever told."""
        self.tracing = False
        self.requests = 0
        """Requests that were put into rings."""
        self.violations = 0
        self.connections = 0
        self._shared: dict[str, list[SharedMemory]] = {}
        self._synced: dict[str, bytes] = {}
        """What each frontend's memory was when it was last served."""
        self._kicked: dict[str, None] = {}
        self._draining = False
        self._verifications: list = []

    # Frontends

    def connect(self, name: str, order: int = 0, pages: int = MAX_DATA_PAGES) -> None:
        """A frontend with an empty ring, of the domain's present life; an old one starts over."""
        if name in self._shared:
            self.lose(name)
        model = self.models[name]
        model.connect(Memory(order, pages))
        if self._draining:
            model.frozen = 0
        life = Life(_DOMIDS[name], self.epochs[name])
        expected = model.store_limit, len(model.held)
        self._shared[name] = []
        for store in self.stores:
            shared = SharedMemory(pages, order)
            shared.memory[:] = bytes(model.memory.bytes)
            self._shared[name].append(shared)
            welcome = store.attach(name, shared, life)
            assert tuple(welcome) == expected, f"{name}: {welcome}, not {expected}"
        self._synced[name] = bytes(model.memory.bytes)
        self.queued[name] = 0
        self.connections += 1
        self._trace(name, expected)

    def memory(self, name: str) -> Memory:
        """What ``name`` shares; it connects if it is not connected."""
        if name not in self._shared:
            self.connect(name)
        memory = self.models[name].memory
        assert memory is not None
        return memory

    def held(self, name: str) -> dict[tuple[int, int], Held]:
        return self.models[name].held

    def lose(self, name: str) -> None:
        """The frontend starts over: its pages are kept."""
        if name in self._shared:
            for store in self.stores:
                store.edge.lose(name)
            self._gone(name, keep=True)

    def destroy(self, name: str) -> None:
        if name in self._shared:
            for store in self.stores:
                store.edge.destroy(name)
            self._gone(name, keep=False)

    def forget(self, name: str) -> None:
        """The domain ended without a connection."""
        for store in self.stores:
            store.store.forget(_DOMIDS[name], "the domain is gone")
        if name not in self._shared:
            self.models[name].forget()

    def another_life(self, name: str) -> None:
        """The domain boots anew: its next connection starts empty."""
        self.lose(name)
        self.epochs[name] += 1
        self.models[name].forget()
        self.connect(name)

    # Requests

    def queue(self, name: str, *requests: bytes) -> None:
        """Puts requests into the ring; a full one is run first."""
        memory = self.memory(name)
        for request in requests:
            queued = self.queued[name]
            if queued - self.models[name].taken >= memory.entries:
                memory.set_word(REQ_PROD, queued)
                self.kick(name)
                self.run([name])
                memory = self.memory(name)
                queued = self.queued[name]
            at = memory.slot(queued)
            memory.bytes[at : at + _ENTRY] = request
            self.queued[name] = queued + 1
        self.requests += len(requests)
        memory.set_word(REQ_PROD, self.queued[name])

    def write_page(self, name: str, page: int, data: bytes, at: int = 0) -> None:
        memory = self.memory(name)
        start = memory.page(page % memory.nr_data_pages) + at
        data = data[: len(memory.bytes) - start]
        memory.bytes[start : start + len(data)] = data

    def write_header(self, name: str, at: int, value: int) -> None:
        """Writes a word of the ring's first 64 bytes."""
        memory = self.memory(name)
        memory.set_word(at, value)
        if at == REQ_PROD:
            answered = self.models[name].taken
            self.queued[name] = answered + (value - answered & 0xFFFFFFFF)

    def kick(self, name: str) -> None:
        """Sends an event with the next run."""
        self.memory(name)
        self._kicked[name] = None

    def invalidate(self, name: str, keys: Iterable[tuple[int, int, int]], page: int = 0) -> None:
        """``keys``: (swap type, offset, generation)."""
        payload = b"".join(KEY.pack(t, g, o) for t, o, g in keys)
        self.write_page(name, page, payload)
        self.queue(name, entry(Op.INVALIDATE, data_page=page, length=len(payload)))

    # The store

    def run(self, names: Iterable[str] | None = None) -> None:
        """Lets the stores serve ``names`` (or all) as far as they have sent an event.

        Two stores serve them one after the other: whose turn is first is no
        engine's promise, but decides where in the arena a page lies.
        """
        ready = [n for n in (NAMES if names is None else names) if n in self._kicked]
        if not ready:
            return
        for together in [ready] if len(self.stores) == 1 else [[name] for name in ready]:
            for number, store in enumerate(self.stores):
                fired = {name: self._shared[name][number] for name in together}
                for name, shared in fired.items():
                    shared.memory[:] = bytes(self.models[name].memory.bytes)
                store.serve(fired)
        for name in ready:
            del self._kicked[name]
            self._served(name)
        self._step()
        for store in self.stores:
            assert store.store.connections.keys() == self._shared.keys()

    def tidy(self, *, idle: bool) -> None:
        for store in self.stores:
            store.store.tidy(idle=idle)

    def drain(self) -> None:
        for store in self.stores:
            store.store.drain()
        if not self._draining:
            self._draining = True
            for name in self._shared:
                self.models[name].freeze()

    def restart(self) -> None:
        """The store stops and another one starts on its files."""
        for store in self.stores:
            store.stop()
        for name in list(self._shared):
            self._gone(name, keep=True)
        self._verifications.clear()
        self._draining = False
        for store in self.stores:
            store.start()

    def begin_verification(self) -> None:
        """Goes on by a slice after every run."""
        if not self._verifications:
            self._verifications = [store.store.verify() for store in self.stores]

    def _step(self) -> None:
        for verification in list(self._verifications):
            answer = next(verification)
            if answer is not None:
                assert answer["problems"] == []
                self._verifications.remove(verification)

    # What must be true

    def check(self) -> None:
        """Every domain's memory and account against its model, and the stores' cheap tallies."""
        for name, shares in self._shared.items():
            self._compare(name)
            for other in NAMES:
                seen = other != name and any(private(other) in s.memory[:] for s in shares)
                assert not seen, f"{name} sees what {other} stored"
        for store in self.stores:
            self._check_books(store)

    def check_thoroughly(self) -> None:
        """The same, and every page and reference of every store; then every page is loaded."""
        self.check()
        for store in self.stores:
            assert problems(store.store.table, store.store.domains.values()) == []
        first, *others = (everything(store.store) for store in self.stores)
        for other in others:
            for part, value in first.items():
                assert other[part] == value, f"{part} differs"
        self.load_everything()

    def load_everything(self) -> None:
        """Asks for each page that a domain holds; the models know the bytes."""
        for name, model in self.models.items():
            if not model.held:
                continue
            self.connect(name, pages=_LOADS_AT_ONCE)
            before = model.statuses[Op.LOAD, Status.OKAY]
            for at, (key, held) in enumerate(list(model.held.items())):
                self.queue(name, load(key, held, at % _LOADS_AT_ONCE))
            self.kick(name)
            self.run([name])
            assert model.statuses[Op.LOAD, Status.OKAY] - before == len(model.held)

    @property
    def statuses(self) -> Counter[tuple[int, int]]:
        """Answers by operation and status, all of the models agreed to."""
        return sum((model.statuses for model in self.models.values()), Counter())

    def close(self) -> None:
        for store in self.stores:
            store.stop()
        for shares in self._shared.values():
            for shared in shares:
                shared.close()
        self._shared.clear()

    # Inside

    def _served(self, name: str) -> None:
        model, shares = self.models[name], self._shared[name]
        violated = False
        try:
            model.run(shares[0].memory[:])
        except Violation:
            violated = True
        assert model.memory is not None
        self._synced[name] = bytes(model.memory.bytes)
        self._compare(name)
        for shared in shares:
            assert _events(shared.to_frontend) == model.notified
        ids = {held.page_id for held in model.held.values()}
        assert len(ids) == len(model.held), f"{name}: two keys have one page id"
        self._trace(name, zlib.crc32(self._synced[name]))
        if violated:
            self.violations += 1
            self._trace(name, "violation")
            self._gone(name, keep=False)

    def _compare(self, name: str) -> None:
        expected = self._synced[name]
        for store, shared in zip(self.stores, self._shared[name], strict=True):
            actual = shared.memory[:]
            if actual != expected:
                pairs = enumerate(zip(actual, expected, strict=True))
                where = next(at for at, (one, two) in pairs if one != two)
                raise AssertionError(f"{name}, {store.engine}: byte {where} differs")

    def _check_books(self, store: Subject) -> None:
        distinct = set()
        for name, model in self.models.items():
            life = Life(_DOMIDS[name], self.epochs[name])
            pages = {(held.encoding, held.payload) for held in model.held.values()}
            distinct |= {(GROUPS[name], *page) for page in pages}
            domain = store.store.domains.get(life)
            if domain is None:
                assert not model.held, f"{name}: its pages are gone"
                continue
            assert (len(domain), domain.member.references) == (len(model.held),) * 2
            assert domain.charged_bytes == model.charged <= model.quota
            assert domain.member.distinct_bytes == sum(len(payload) for _, payload in pages)
            if name in self._shared:
                connection = store.store.connections[name]
                counted = {k: v for k, v in connection.counters.as_dict().items() if v}
                expected = model.expected_counters
                assert counted == expected, f"{name}, {store.engine}: {counted}, not {expected}"
                mark = connection.mark
                assert (mark and list(mark.values())) == model.mark
        kept = sum(len(payload) for _, _, payload in distinct)
        table = store.store.table
        assert table.payload_bytes == table.arena.payload_bytes == kept
        assert len(table) == table.arena.blocks == len(distinct)

    def _gone(self, name: str, *, keep: bool) -> None:
        self.models[name].disconnect(keep=keep)
        self._kicked.pop(name, None)
        for shared in self._shared.pop(name):
            shared.close()

    def _trace(self, name: str, what: object) -> None:
        if self.tracing:
            self.traces[name].append(what)


def entry(op: int, *, data_page=0, length=0, swap_type=0, offset=0, generation=0, **rest) -> bytes:
    """The 32 bytes of a request."""
    return REQUEST.pack(
        rest.get("id", 0),
        op,
        rest.get("encoding", 0),
        data_page,
        length,
        swap_type,
        rest.get("flags", 0),
        offset & (1 << 64) - 1,
        generation,
        rest.get("page_id", 0),
    )


def load(key: tuple[int, int], held: Held, data_page: int = 0, **rest) -> bytes:
    """A LOAD of what is held under ``key``."""
    fields = {"generation": held.generation, "page_id": held.page_id} | rest
    return entry(Op.LOAD, swap_type=key[0], offset=key[1], data_page=data_page, **fields)


def _events(fd: int) -> int:
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0
