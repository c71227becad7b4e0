"""What the protocol promises one domain, without a store: memory in, memory out.

Written from ``pageshare.h``, with dictionaries. It knows of no other domain,
so wherever it and the store agree to the last byte, the store told this domain
nothing that is not its own. Only page ids are taken from the store, and have to
be unlike each other.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

from testbed.store.protocol import (
    COUNTERS,
    KEY,
    MARK_HEADER,
    MAX_SWAP_TYPES,
    MIN_PAYLOAD,
    PAGE_SIZE,
    REQUEST,
    RESPONSE,
    RING_HEADER_BYTES,
    VERSION,
    Encoding,
    Op,
    Status,
    ring_entries,
)
from testbed.store.transport.interface import BATCH

__all__ = ["Held", "Memory", "Model"]

WORD = struct.Struct("<I")
REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT = range(0, 16, 4)
_MASK = 0xFFFFFFFF
_OKAY, _ENOENT, _EINVAL, _ENOSPC = map(
    int, (Status.OKAY, Status.ENOENT, Status.EINVAL, Status.ENOSPC)
)
_STORE, _RAW, _LAST_ENCODING = int(Op.STORE), int(Encoding.RAW), int(max(Encoding))
_MARK_BYTES = MARK_HEADER.size + 8 * len(COUNTERS)

Key = tuple[int, int]
"""Swap type and offset."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept under one key."""

    generation: int
    encoding: int
    payload: bytes
    page_id: int


class Memory:
    """What a frontend shares: its own truth of it, with the store's answers put in."""

    def __init__(self, order: int, nr_data_pages: int) -> None:
        """A ring as the frontend initialises it."""
        self.order, self.nr_data_pages = order, nr_data_pages
        self.entries = ring_entries(order)
        self.data_offset = PAGE_SIZE << order
        self.bytes = bytearray(self.data_offset + nr_data_pages * PAGE_SIZE)
        self.set_word(REQ_EVENT, 1)
        self.set_word(RSP_EVENT, 1)

    def word(self, at: int) -> int:
        return int(WORD.unpack_from(self.bytes, at)[0])

    def set_word(self, at: int, value: int) -> None:
        WORD.pack_into(self.bytes, at, value & _MASK)

    def slot(self, index: int) -> int:
        """Where entry ``index`` begins."""
        return RING_HEADER_BYTES + index % self.entries * REQUEST.size

    def page(self, index: int) -> int:
        """Where a data page begins."""
        return self.data_offset + index * PAGE_SIZE


class Violation(Exception):
    """The ring's index is impossible: the domain has to go."""


@dataclass
class Model:
    """One domain, with or without a connection."""

    quota: int
    held: dict[Key, Held] = field(default_factory=dict)
    charged: int = 0
    processed: int = 0
    frozen: int | None = None
    memory: Memory | None = None
    """Of its connection; None while there is none."""
    counters: Counter[str] = field(default_factory=Counter)
    mark: list[int] | None = None
    notified: int = 0
    """Events for the frontend, of the last run."""
    statuses: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Answers by operation and status, over all connections."""
    taken: int = 0
    """Requests that were answered on this connection."""

    # Connections

    def connect(self, memory: Memory) -> None:
        self.memory = memory
        self.processed, self.frozen, self.taken = 0, None, 0
        self.counters.clear()
        self.mark = None

    def disconnect(self, *, keep: bool) -> None:
        self.memory = None
        if not keep:
            self.forget()

    def forget(self) -> None:
        self.held.clear()
        self.charged = 0

    def freeze(self) -> None:
        self.frozen = self.store_limit

    @property
    def store_limit(self) -> int:
        if self.frozen is not None:
            return self.frozen
        return self.processed + max(0, self.quota - self.charged) // PAGE_SIZE

    @property
    def expected_counters(self) -> dict[str, int]:
        return {name: count for name, count in self.counters.items() if count}

    # Requests

    def run(self, actual: bytes) -> None:
        """Everything that is asked, answered in the memory; ``actual`` is a store's memory then.

        Raises ``Violation``.
        """
        memory = self.memory
        assert memory is not None
        self.notified = 0
        while True:
            waiting = memory.word(REQ_PROD) - self.taken & _MASK
            if waiting > memory.entries:
                raise Violation
            count = min(waiting, BATCH)
            if not count:
                memory.set_word(REQ_EVENT, self.taken + 1)
                return
            self._batch(memory, count, actual)

    def _batch(self, memory: Memory, count: int, actual: bytes) -> None:
        content, first = memory.bytes, self.taken
        slots = [memory.slot(at) for at in range(first, first + count)]
        requests = [REQUEST.unpack_from(content, slot) for slot in slots]
        payloads = []
        for _, op, _, page, length, *_ in requests:
            start = memory.data_offset + page * PAGE_SIZE
            taken = op in _WITH_PAYLOAD and page < memory.nr_data_pages and length <= PAGE_SIZE
            payloads.append(bytes(content[start : start + length]) if taken else b"")
        for slot, request, payload in zip(slots, requests, payloads, strict=True):
            self._answer(memory, slot, request, payload, actual)
        self.taken += count
        memory.set_word(RSP_PROD, self.taken)
        self.notified += (self.taken - memory.word(RSP_EVENT) & _MASK) < count

    def _answer(self, memory: Memory, slot: int, request, payload: bytes, actual: bytes) -> None:
        op = request[1]
        handler = _HANDLERS.get(op)
        status, loaded = handler(self, memory, request, payload) if handler else (_EINVAL, None)
        encoding = length = page_id = 0
        if op == _STORE and not status:
            page_id = RESPONSE.unpack_from(actual, slot)[5]
            self._keep(request, payload, page_id)
        elif loaded:
            encoding, length = loaded.encoding, len(loaded.payload)
            start = memory.page(request[3])
            memory.bytes[start : start + length] = loaded.payload
        elif status == _EINVAL:
            self.counters["refused_malformed"] += 1
        self.counters["requests"] += 1
        self.statuses[op, status] += 1
        limit = self.store_limit
        response = request[0], op, encoding, status, length, page_id, limit, 0
        RESPONSE.pack_into(memory.bytes, slot, *response)

    def _drop(self, key: Key) -> bool:
        held = self.held.pop(key, None)
        self.charged -= len(held.payload) if held else 0
        return held is not None

    def _keep(self, request, payload: bytes, page_id: int) -> None:
        key = request[5], request[7]
        self._drop(key)
        assert page_id, "no page id was given"
        self.held[key] = Held(request[8], request[2], payload, page_id)
        self.charged += len(payload)

    def _store(self, memory: Memory, request, payload: bytes):
        _, _, encoding, page, length, swap_type, flags, offset, _, _ = request
        within_limit = self.store_limit > self.processed
        self.processed += 1
        self.counters["stores"] += 1
        if not _is_key(swap_type, offset):
            return _EINVAL, None
        key = swap_type, offset
        if (
            page >= memory.nr_data_pages
            or not MIN_PAYLOAD <= length <= PAGE_SIZE
            or encoding > _LAST_ENCODING
            or (encoding == _RAW and length != PAGE_SIZE)
            or flags not in (0, 1)
        ):
            self._drop(key)
            return _EINVAL, None
        old = self.held.get(key)
        if flags and self.charged - (len(old.payload) if old else 0) + length > self.quota:
            self._drop(key)
            self.counters["refused_quota"] += 1
            return _ENOSPC, None
        if not flags and not within_limit:
            self._drop(key)
            self.counters["refused_store_limit"] += 1
            return _ENOSPC, None
        return _OKAY, None

    def _load(self, memory: Memory, request, _payload: bytes):
        _, _, _, page, _, swap_type, flags, offset, generation, page_id = request
        self.counters["loads"] += 1
        if flags or page >= memory.nr_data_pages or not _is_key(swap_type, offset):
            return _EINVAL, None
        held = self.held.get((swap_type, offset))
        if not held or (held.generation, held.page_id) != (generation, page_id):
            self.counters["refused_not_held"] += 1
            return _ENOENT, None
        return _OKAY, held

    def _invalidate(self, memory: Memory, request, payload: bytes):
        page, length, flags = request[3], request[4], request[6]
        if flags or page >= memory.nr_data_pages or length > PAGE_SIZE or length % KEY.size:
            return _EINVAL, None
        for swap_type, generation, offset in KEY.iter_unpack(payload):
            if not _is_key(swap_type, offset):
                self.counters["refused_malformed"] += 1
                continue
            held = self.held.get((swap_type, offset))
            if held and held.generation == generation:
                self._drop((swap_type, offset))
                self.counters["invalidates"] += 1
            else:
                self.counters["invalidates_stale"] += 1
        return _OKAY, None

    def _invalidate_area(self, _memory: Memory, request, _payload: bytes):
        swap_type, flags = request[5], request[6]
        if flags or swap_type >= MAX_SWAP_TYPES:
            return _EINVAL, None
        for key in [key for key in self.held if key[0] == swap_type]:
            self._drop(key)
            self.counters["area_invalidates"] += 1
        return _OKAY, None

    def _mark(self, memory: Memory, request, payload: bytes):
        page, length, flags = request[3], request[4], request[6]
        if flags or page >= memory.nr_data_pages or not _MARK_BYTES <= length <= PAGE_SIZE:
            return _EINVAL, None
        version, number = MARK_HEADER.unpack_from(payload)
        if version != VERSION or number < len(COUNTERS):
            return _EINVAL, None
        self.counters["marks"] += 1
        self.mark = list(struct.unpack_from(f"<{len(COUNTERS)}Q", payload, MARK_HEADER.size))
        return _OKAY, None


def _is_key(swap_type: int, offset: int) -> bool:
    return swap_type < MAX_SWAP_TYPES and offset < 1 << 58


_HANDLERS = {
    Op.STORE: Model._store,
    Op.LOAD: Model._load,
    Op.INVALIDATE: Model._invalidate,
    Op.INVALIDATE_AREA: Model._invalidate_area,
    Op.MARK: Model._mark,
}
_WITH_PAYLOAD = {int(Op.STORE), int(Op.INVALIDATE), int(Op.MARK)}
