"""The wire protocol's numbers, as in ``native/include/xen/interface/io/pageshare.h``.

Everything is little-endian with natural alignment. A test compiles that
header and compares every value below with it.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

__all__ = [
    "COUNTERS",
    "KEY",
    "MARK_HEADER",
    "MAX_DATA_PAGES",
    "MAX_RING_ORDER",
    "MAX_SWAP_TYPES",
    "MIN_PAYLOAD",
    "OFFSET_BITS",
    "PAGE_SIZE",
    "REQUEST",
    "RESPONSE",
    "RING_HEADER_BYTES",
    "VERSION",
    "Encoding",
    "Flag",
    "Op",
    "Status",
    "ring_entries",
]

VERSION = 1
PAGE_SIZE = 4096
"""Bytes of a page, of a data page and of the longest payload."""
MAX_DATA_PAGES = 1024
MAX_RING_ORDER = 3
"""The ring has at most 2 to the power of this pages."""
RING_HEADER_BYTES = 64


def ring_entries(order: int) -> int:
    """Entries of a ring of ``2**order`` pages: 64, 128, 256 or 512."""
    room = ((PAGE_SIZE << order) - RING_HEADER_BYTES) // REQUEST.size
    return 1 << room.bit_length() - 1


class Op(IntEnum):
    """What a request asks for."""

    STORE = 1
    LOAD = 2
    INVALIDATE = 3
    INVALIDATE_AREA = 4
    MARK = 5


class Encoding(IntEnum):
    """How a payload is to be read; part of a page's identity, else opaque."""

    RAW = 0
    LZ4 = 1
    LZO = 2
    ZSTD = 3


class Flag(IntFlag):
    """What else a request says."""

    AGAIN = 1
    """A STORE that may have been handled before, by another connection."""


class Status(IntEnum):
    """How a request ended."""

    OKAY = 0
    ENOENT = -1
    EINVAL = -2
    ENOSPC = -3
    EIO = -4


REQUEST = struct.Struct("<HBBIIHHQII")
"""id, op, encoding, data_page, length, swap_type, flags, offset, generation, page_id."""
RESPONSE = struct.Struct("<HBBiIIQQ")
"""id, op, encoding, status, length, page_id, store_limit, reserved."""
KEY = struct.Struct("<IIQ")
"""swap_type, generation, offset: one entry of an INVALIDATE batch."""
MARK_HEADER = struct.Struct("<II")
"""version, nr_counters; the counters (u64) follow."""

COUNTERS = (
    "guest_nanoseconds",
    "held_pages",
    "same_filled_pages",
    "swap_slots_used",
    "swap_slots_total",
    "frontend_bytes",
    "memory_total_bytes",
    "memory_free_bytes",
    "stores",
    "stores_same_filled",
    "loads",
    "loads_same_filled",
    "invalidates",
    "reject_not_connected",
    "reject_no_credit",
    "reject_no_buffer",
    "reject_poor_compression",
    "reject_no_map",
    "reject_huge_page",
    "reject_timeout",
    "reject_error",
    "load_error_lost",
    "load_error_timeout",
    "load_error_status",
    "load_error_corrupt",
    "protocol_errors",
    "loads_in_flight",
    "reconnects",
    "resent",
)
"""The frontend's counters, in the order of the header's ``xen_pageshare_counter``."""

# What the store bounds beyond the header. Linux has at most 32 swap areas and
# page offsets far below 2**58, so a key fits one 64-bit word.
MAX_SWAP_TYPES = 32
OFFSET_BITS = 58
MIN_PAYLOAD = 16
"""Bytes; shorter than any encoding of a page makes, and what bounds the
arena's rounding (see ``arena.py``)."""
