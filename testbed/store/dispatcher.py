"""Requests in, responses out: what one domain asks of the table.

Works on private copies only. Everything that the frontend wrote is bounded
here before use. A request that is malformed is answered with EINVAL.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from testbed.store.domain import Domain
from testbed.store.errors import DamagedPage
from testbed.store.layout import RequestCounters
from testbed.store.protocol import (
    COUNTERS,
    KEY,
    MARK_HEADER,
    MAX_SWAP_TYPES,
    MIN_PAYLOAD,
    OFFSET_BITS,
    PAGE_SIZE,
    REQUEST,
    RESPONSE,
    VERSION,
    Encoding,
    Flag,
    Op,
    Status,
)
from testbed.store.transport.interface import Batch

__all__ = ["Dispatcher", "Mark"]

Mark = dict[str, int]
Request = tuple[int, int, int, int, int, int, int, int, int, int]
Answer = tuple[int, int, int, int]
"""Status, encoding, length, page id."""
Done = tuple[int, int]
"""Keys of an INVALIDATE that were handled, and those of them that were dropped."""

_RAW = int(Encoding.RAW)
_AGAIN = int(Flag.AGAIN)
_MAX_ENCODING = max(Encoding)
_OKAY: Answer = (0, 0, 0, 0)
_EINVAL: Answer = (int(Status.EINVAL), 0, 0, 0)
_ENOENT: Answer = (int(Status.ENOENT), 0, 0, 0)
_ENOSPC: Answer = (int(Status.ENOSPC), 0, 0, 0)
_EIO: Answer = (int(Status.EIO), 0, 0, 0)
_COUNTERS = struct.Struct(f"<{len(COUNTERS)}Q")
_MARK_BYTES = MARK_HEADER.size + _COUNTERS.size
_ENTRY_BYTES = REQUEST.size


@dataclass(slots=True)
class Dispatcher:
    """Serves one connection's requests on behalf of ``domain``."""

    domain: Domain
    max_data_pages: int
    """Data pages of this connection; larger indices are malformed."""
    on_mark: Callable[[Mark], None]
    """Called with the frontend's counters at the MARK's place in the order."""
    counters: RequestCounters
    _handlers: dict[int, Callable[[Batch, int, Request], Answer]] = field(init=False)

    def __post_init__(self) -> None:
        self._handlers = {
            Op.STORE: self._store,
            Op.LOAD: self._load,
            Op.INVALIDATE_AREA: self._invalidate_area,
            Op.MARK: self._mark,
        }

    def handle(self, batch: Batch, count: int) -> None:
        """Answers the first ``count`` requests of ``batch``, in order."""
        for at in range(count):
            self.handle_one(batch, at)

    def handle_one(self, batch: Batch, at: int, done: Done = (0, 0)) -> None:
        """Answers request ``at`` of ``batch``.

        ``done`` tells of an INVALIDATE that is handled in part: how many of its
        keys were, and how many of those were dropped.
        """
        place = at * _ENTRY_BYTES
        request = REQUEST.unpack_from(batch.requests, place)
        op = request[1]
        handler = self._handlers.get(op)
        if op == Op.INVALIDATE:
            answer = self._invalidate(batch, at, request, done)
        else:
            answer = handler(batch, at, request) if handler else self._malformed()
        status, encoding, length, page = answer
        limit = self.domain.store_limit
        RESPONSE.pack_into(
            batch.responses, place, request[0], op, encoding, status, length, page, limit, 0
        )
        self.counters.requests += 1

    def _store(self, batch: Batch, at: int, request: Request) -> Answer:
        _, _, encoding, data_page, length, swap_type, flags, offset, generation, _ = request
        domain = self.domain
        within_limit = domain.within_limit
        domain.stores_processed += 1
        self.counters.stores += 1
        if swap_type >= MAX_SWAP_TYPES or offset >> OFFSET_BITS:
            return self._malformed()
        key = swap_type << OFFSET_BITS | offset
        if (
            not MIN_PAYLOAD <= length <= PAGE_SIZE
            or data_page >= self.max_data_pages
            or encoding > _MAX_ENCODING
            or (encoding == _RAW and length != PAGE_SIZE)
            or flags > _AGAIN
        ):
            domain.discard(key)  # whatever was there is out of date now
            return self._malformed()
        if flags:
            if not domain.fits(key, length):
                domain.discard(key)
                self.counters.refused_quota += 1
                return _ENOSPC
        elif not within_limit:
            domain.discard(key)
            self.counters.refused_store_limit += 1
            return _ENOSPC
        start = at * PAGE_SIZE
        payload = batch.payloads[start : start + length]
        return 0, 0, 0, domain.store(key, generation, encoding, payload)

    def _load(self, batch: Batch, at: int, request: Request) -> Answer:
        _, _, _, data_page, _, swap_type, flags, offset, generation, row = request
        self.counters.loads += 1
        if swap_type >= MAX_SWAP_TYPES or offset >> OFFSET_BITS:
            return self._malformed()
        key = swap_type << OFFSET_BITS | offset
        if flags or data_page >= self.max_data_pages:
            return self._malformed()
        page = self.domain.find(key, generation, row)
        if not page:
            self.counters.refused_not_held += 1
            return _ENOENT
        try:
            encoding, payload = self.domain.table.read(page)
        except DamagedPage:
            self.counters.refused_damaged += 1
            return _EIO
        self.domain.table.use(page)
        length = len(payload)
        start = at * PAGE_SIZE
        batch.loads[start : start + length] = payload
        return 0, encoding, length, 0

    def _invalidate(self, batch: Batch, at: int, request: Request, done: Done) -> Answer:
        data_page, length = request[3], request[4]
        if (
            request[6]
            or data_page >= self.max_data_pages
            or length > PAGE_SIZE
            or length % KEY.size
        ):
            return self._malformed()
        start = at * PAGE_SIZE
        first, dropped = done
        malformed = 0
        invalidate = self.domain.invalidate
        listed = KEY.iter_unpack(batch.payloads[start + first * KEY.size : start + length])
        for swap_type, generation, offset in listed:
            if swap_type >= MAX_SWAP_TYPES or offset >> OFFSET_BITS:
                malformed += 1
                continue
            dropped += invalidate(swap_type << OFFSET_BITS | offset, generation)
        self.counters.refused_malformed += malformed
        self.counters.invalidates += dropped
        self.counters.invalidates_stale += length // KEY.size - dropped - malformed
        return _OKAY

    def _invalidate_area(self, _batch: Batch, _at: int, request: Request) -> Answer:
        if request[6] or request[5] >= MAX_SWAP_TYPES:
            return self._malformed()
        self.counters.area_invalidates += self.domain.invalidate_area(request[5])
        return _OKAY

    def _mark(self, batch: Batch, at: int, request: Request) -> Answer:
        data_page, length = request[3], request[4]
        if request[6] or data_page >= self.max_data_pages or not _MARK_BYTES <= length <= PAGE_SIZE:
            return self._malformed()
        start = at * PAGE_SIZE
        payload = batch.payloads[start : start + _MARK_BYTES]
        version, number = MARK_HEADER.unpack_from(payload)
        if version != VERSION or number < len(COUNTERS):
            return self._malformed()
        self.counters.marks += 1
        values = _COUNTERS.unpack_from(payload, MARK_HEADER.size)
        self.on_mark(dict(zip(COUNTERS, values, strict=True)))
        return _OKAY

    def _malformed(self) -> Answer:
        self.counters.refused_malformed += 1
        return _EINVAL
