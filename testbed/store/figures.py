"""The MARK record, and the copy of the table at the peak.

A MARK is handled in order with all earlier requests of its domain, so the
frontend's counters in it and the table's tallies speak of the same moment.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from testbed.store.connection import Connection
from testbed.store.domain import Domain
from testbed.store.members import Counts
from testbed.store.records import Record
from testbed.store.table import SharingTable

__all__ = ["Peak", "mark_fields", "memory", "table_figures"]

_PAGE_SIZE_OF_KERNEL = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Peak:
    """The MARK at which the sum of logical pages was largest, and its table."""

    logical_pages: int = -1
    mark: Record | None = None
    sharers: array[int] | None = None
    lengths: array[int] | None = None
    kept: array[int] | None = None
    """Of pages that are not kept as they were sent; 0 for the others."""
    bases: Counts | None = None

    def offer(self, mark: Record, table: SharingTable) -> None:
        """Keeps ``mark`` and a copy of the table if it is a new maximum."""
        logical = sum(domain["logical_pages"] for domain in mark["domains"].values())
        if logical > self.logical_pages:
            self.logical_pages = logical
            self.mark = mark
            self.sharers, self.lengths = table.columns()
            self.kept, _, self.bases = table.rekept.copies()

    def report(self) -> dict[str, Any]:
        """MARK, entries ``[page id, sharing domains, bytes kept]`` and their histogram.

        A page that only other pages' differences need is shared by no domain.
        """
        rows = zip(self.sharers or (), self.lengths or (), strict=True)
        kept, bases = self.kept or (), self.bases or Counts()
        entries = [
            [page, n - (bases[page] > 0), (kept[page] if page < len(kept) else 0) or length]
            for page, (n, length) in enumerate(rows)
            if n
        ]
        histogram = Counter(sharers for _, sharers, _ in entries)
        return {
            "mark": self.mark,
            "entries": entries,
            "sharing_histogram": {str(n): count for n, count in sorted(histogram.items())},
        }


def mark_fields(
    marking: Connection,
    connections: Mapping[str, Connection],
    table: SharingTable,
    service: Record,
    parts: Mapping[str, int],
) -> Record:
    """A MARK record of ``marking`` (which has a mark), all but its sequence and time."""
    assert marking.mark is not None
    held, references = marking.mark["held_pages"], marking.domain.member.references
    table_bytes, arena_bytes = table.payload_bytes, table.arena.payload_bytes
    return {
        "domain": marking.domain.name,
        "counters": marking.mark,
        "books": {
            "held_pages": held,
            "references": references,
            "table_bytes": table_bytes,
            "arena_bytes": arena_bytes,
            "closed": held == references and table_bytes == arena_bytes,
        },
        "domains": {
            name: _domain_figures(connection)
            for name, connection in connections.items()
            if connection.mark is not None or len(connection.domain)
        },
        "table": table_figures(table, parts),
        "service": service,
    }


def _domain_figures(connection: Connection) -> Record:
    """One domain's holdings now; figures of its last MARK are null before the first."""
    domain, mark = connection.domain, connection.mark
    held = domain.member.references
    return {
        "logical_pages": held + (mark["same_filled_pages"] if mark else 0),
        "same_filled_pages": mark["same_filled_pages"] if mark else None,
        "held_pages": held,
        "charged_bytes": domain.charged_bytes,
        "distinct_bytes": domain.member.distinct_bytes,
        "frontend_bytes": mark["frontend_bytes"] if mark else None,
        "swap_slots_used": mark["swap_slots_used"] if mark else None,
    }


def memory(table: SharingTable, domains: Iterable[Domain], buffers: int) -> dict[str, int]:
    """Everything that is spent on pages, by part, in bytes: files' pages touched, arrays.

    ``buffers`` is what one batch of requests takes. The sum is the footprint.
    """
    parts = {
        "arena": table.arena.reserved_bytes,
        "arena_lists": table.arena.metadata_bytes,
        **table.memory(),
        "rows": 0,
        "key_index": 0,
        "buffers": buffers,
    }
    for domain in domains:
        for part, size in domain.memory().items():
            parts[part] += size
    return parts


def table_figures(table: SharingTable, parts: Mapping[str, int]) -> Record:
    """What the table holds and what that takes, by ``parts``; ``footprint`` counts all of it."""
    footprint = sum(parts.values())
    return {
        "entries": len(table),
        "payload_bytes": table.payload_bytes,
        "forms": {form.name.lower(): asdict(one) for form, one in table.rekept.totals.items()},
        "footprint_bytes": footprint,
        "arena_reserved_bytes": parts["arena"],
        "arena_rounded_bytes": table.arena.rounded_bytes,
        "metadata_bytes": footprint - parts["arena"],
    }


class ResidentSetSize:
    """This process's resident memory, from one file that stays open."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> int:
        """Bytes."""
        return int(os.pread(self._fd, 128, 0).split()[1]) * _PAGE_SIZE_OF_KERNEL

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
