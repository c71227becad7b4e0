"""The figures that Python and the native request loop both change, as C lays them out.

Each structure is a part's state outside of its region, and belongs to the
Python object that is named for it; ``native/state.h`` has the same structures,
and a test compares the two. Where a field is an address, the object keeps what
lies there alive, and sets the field again when that moves.
"""

from __future__ import annotations

import ctypes
import mmap

__all__ = [
    "HOLE_KINDS",
    "NO_LIMIT",
    "ArenaState",
    "ConnectionState",
    "DomainState",
    "IdsState",
    "IndexState",
    "LoopState",
    "MemberState",
    "RequestCounters",
    "TableState",
    "address_of",
]

_u8, _u32, _u64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64
_address = ctypes.c_uint64

HOLE_KINDS = 515
"""Lists of holes: by size in granules up to the largest block's, and one for the rest."""
NO_LIMIT = (1 << 64) - 1
"""``frozen_limit`` of a domain whose store limit still follows its quota."""


def address_of(buffer: mmap.mmap | bytearray) -> int:
    """Where a writable buffer begins; it must neither go nor grow while that is used."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class IndexState(ctypes.Structure):
    """See ``hashindex.py``."""

    _fields_ = (
        ("slots", _address),
        ("mask", _u32),
        ("shift", _u32),
        ("used", _u32),
        ("room", _u32),
    )


class IdsState(ctypes.Structure):
    """See ``ids.py``."""

    _fields_ = (("records", _address), ("end", _u32), ("free", _u32), ("capacity", _u32))


class ArenaState(ctypes.Structure):
    """See ``arena.py``, and ``holes.py`` for what begins with ``hole``."""

    _fields_ = (
        ("memory", _address),
        ("capacity_bytes", _u64),
        ("payload_bytes", _u64),
        ("blocks", _u64),
        ("touched_bytes", _u64),
        ("hole_granules", _u64),
        ("hole_bits", _u64 * (HOLE_KINDS // 64 + 1)),
        ("top", _u32),
        ("last", _u32),
        ("scratch", _u32),
        ("hole_heads", _u32 * HOLE_KINDS),
    )


class TableState(ctypes.Structure):
    """See ``table.py``."""

    _fields_ = (
        ("arena", _address),
        ("entries", _address),
        ("index", _address),
        ("sharers", _address),
        ("recent", _address),
        ("nr_sharers", _u32),
        ("nr_recent", _u32),
        ("payload_bytes", _u64),
        ("shared_hits", _u64),
    )


class MemberState(ctypes.Structure):
    """One domain in the table's eyes, see ``table.py``."""

    _fields_ = (
        ("counts", _address),
        ("nr_counts", _u32),
        ("group", _u32),
        ("references", _u64),
        ("distinct_bytes", _u64),
    )


class DomainState(ctypes.Structure):
    """See ``domain.py``."""

    _fields_ = (
        ("table", _address),
        ("member", _address),
        ("rows", _address),
        ("index", _address),
        ("mixer", _u64),
        ("seeds", _u64 * 4),
        ("quota_bytes", _u64),
        ("charged_bytes", _u64),
        ("stores_processed", _u64),
        ("frozen_limit", _u64),
    )


class RequestCounters(ctypes.Structure):
    """What was asked, and one counter for each reason of a refusal.

    ``invalidates`` and ``area_invalidates`` count keys that were dropped;
    ``invalidates_stale`` keys whose generation was not the last, or that were
    not there. ``refused_quota`` is a STORE sent again that does not fit the
    quota; ``refused_malformed`` an unknown operation, or a field that is out
    of bounds; ``refused_not_held`` a LOAD of a key, page id or generation that
    this domain does not hold; ``refused_damaged`` a LOAD of a page that was
    lost, or whose bytes changed in the arena.
    """

    NAMES = (
        "requests",
        "stores",
        "loads",
        "invalidates",
        "area_invalidates",
        "marks",
        "invalidates_stale",
        "refused_store_limit",
        "refused_quota",
        "refused_malformed",
        "refused_not_held",
        "refused_damaged",
    )
    _fields_ = tuple((name, _u64) for name in NAMES)

    def as_dict(self) -> dict[str, int]:
        """The counters by name."""
        return {name: getattr(self, name) for name in self.NAMES}

    def add(self, other: RequestCounters) -> None:
        """Adds each of ``other``'s counters."""
        for name in self.NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class ConnectionState(ctypes.Structure):
    """One connected domain as the request loop sees it, see ``engine.py``."""

    _fields_ = (
        ("domain", _address),
        ("ring", _address),
        ("notify", _address),
        ("notify_handle", _address),
        ("port", _u32),
        ("ready", _u32),
        ("rounds", _u32),
        ("taken", _u32),
        ("handled", _u32),
        ("key", _u32),
        ("dropped", _u32),
        ("unused", _u32),
        ("counters", RequestCounters),
    )


class LoopState(ctypes.Structure):
    """What the request loop waits for, see ``engine.py``."""

    _fields_ = (
        ("connections", _address),
        ("nr_connections", _u32),
        ("current", _u32),
        ("wait_fd", ctypes.c_int32),
        ("events_fd", ctypes.c_int32),
        ("busy_nanoseconds", _u64),
    )
