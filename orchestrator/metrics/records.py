"""The records that the dom0 store writes to its virtio-serial port, one JSON line each.

Names follow the service's own. Unknown keys are kept, so that a newer store
does not lose its samples; missing ones make the line malformed.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

__all__ = [
    "PAGE_SIZE",
    "Books",
    "DomainState",
    "EventRecord",
    "FormState",
    "MarkRecord",
    "Peak",
    "Record",
    "ServiceState",
    "TableState",
    "parse_record",
]

PAGE_SIZE = 4096

Count = Annotated[int, Field(ge=0)]


class Wire(BaseModel):
    """What another program wrote: strict in types, open to new keys."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Books(Wire):
    """Both sides' tallies at one MARK; they agree exactly, or the run is INVALID."""

    held_pages: Count
    """Pages that the frontend says it holds in the store."""
    references: Count
    """References that the table counts for that domain."""
    table_bytes: Count
    """Payload that the table holds, by its own count."""
    arena_bytes: Count
    """Payload that the arena has given out, by its own count."""
    closed: bool

    @property
    def agree(self) -> bool:
        """Whether the four figures close, whatever the store's flag says."""
        return self.held_pages == self.references and self.table_bytes == self.arena_bytes


class DomainState(Wire):
    """One domU as the store sees it."""

    logical_pages: Count
    """References now, and the same-filled pages of its last MARK."""
    same_filled_pages: Count | None
    """This and the last two are of its last MARK: null before its first."""
    held_pages: Count
    charged_bytes: Count
    """Payload of every page that it holds, shared or not."""
    distinct_bytes: Count
    """Payload of the distinct pages that it holds."""
    frontend_bytes: Count | None
    swap_slots_used: Count | None


class FormState(Wire):
    """Pages that the second look keeps in one form."""

    entries: Count
    received_bytes: Count
    """Payload as it was sent."""
    kept_bytes: Count

    @property
    def saved_bytes(self) -> int:
        """What that spares; less than nothing where it costs."""
        return self.received_bytes - self.kept_bytes


class TableState(Wire):
    """The page sharing table as a whole."""

    entries: Count
    payload_bytes: Count
    footprint_bytes: Count
    """Arena reserved with its rounding, the table, and the per-domain maps."""
    arena_reserved_bytes: Count
    arena_rounded_bytes: Count
    metadata_bytes: Count
    forms: dict[str, FormState] = Field(default_factory=dict)
    """By the form that pages are kept in, where it is not that in which they came."""


class ServiceState(Wire):
    """The service's own work since it started."""

    requests: Count
    stores: Count
    loads: Count
    shared_hits: Count
    busy_seconds: float
    rss_bytes: Count
    looked_pages: Count = 0
    """That the second look took up, again and again where it did."""
    look_seconds: float = 0.0
    """What that took, by dom0's clock."""


class MarkRecord(Wire):
    """What the store knew when it handled one domU's MARK."""

    kind: Literal["mark"]
    sequence: Count
    dom0_seconds: float
    """dom0's monotonic clock."""
    domain: str
    """Whose MARK it was."""
    counters: dict[str, Count]
    """That domU's own counters, XEN_PAGESHARE_COUNTERS."""
    books: Books
    domains: dict[str, DomainState]
    table: TableState
    service: ServiceState

    @property
    def logical_pages(self) -> int:
        """Pages that all domUs together have swapped out and the frontends keep."""
        return sum(domain.logical_pages for domain in self.domains.values())


class EventRecord(Wire):
    """Something happened to a domain's connection."""

    kind: Literal["event"]
    sequence: Count
    dom0_seconds: float
    domain: str | None = None
    event: str
    detail: str = ""


Record = Annotated[MarkRecord | EventRecord, Field(discriminator="kind")]


class Peak(Wire):
    """The store's own copy of the table at the MARK of the most logical pages."""

    mark: MarkRecord | None
    entries: list[tuple[int, int, int]]
    """Page id, number of sharing domains, length in bytes: the paper's three fields."""
    sharing_histogram: dict[str, int]
    """Number of entries by the number of domains that share them."""


_RECORD: TypeAdapter[MarkRecord | EventRecord] = TypeAdapter(Record)


def parse_record(line: str) -> MarkRecord | EventRecord | None:
    """One record, or None where the line is not a whole one."""
    try:
        return _RECORD.validate_python(json.loads(line))
    except (ValueError, ValidationError, RecursionError):
        return None
