"""What ``samples.jsonl`` holds: one line a poll, all sources on one time line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestrator.metrics.records import EventRecord, MarkRecord, Record

__all__ = ["Dom0Memory", "Gap", "GapKind", "MachineMemory", "Sample"]


class Line(BaseModel):
    """A part of a line of ``samples.jsonl``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MachineMemory(Line):
    """QEMU's view: ``query-memory-size-summary``. Bytes."""

    base_bytes: int | None
    plugged_bytes: int | None

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> MachineMemory:
        """From QEMU's reply, whose names have dashes."""
        return cls(
            base_bytes=_bytes(summary.get("base-memory")),
            plugged_bytes=_bytes(summary.get("plugged-memory")),
        )


class Dom0Memory(Line):
    """dom0's view: the balloon device's ``guest-stats``. Bytes; null where not reported."""

    total_bytes: int | None
    free_bytes: int | None
    available_bytes: int | None
    swap_in_bytes: int | None
    swap_out_bytes: int | None
    updated_at: int | None
    """When dom0 sent them: seconds on the host's wall clock."""

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Dom0Memory:
        """From ``guest-stats``: nested and with ``stat-`` as QEMU gives it, or flat."""
        stats = {**reply, **reply.get("stats", {})}

        def figure(name: str) -> int | None:
            return _bytes(stats.get(name, stats.get(f"stat-{name}")))

        return cls(
            total_bytes=figure("total-memory"),
            free_bytes=figure("free-memory"),
            available_bytes=figure("available-memory"),
            swap_in_bytes=figure("swap-in"),
            swap_out_bytes=figure("swap-out"),
            updated_at=figure("last-update") or None,
        )


class GapKind(StrEnum):
    """Why something may be missing."""

    LOST = "lost"
    """Sequence numbers are missing: the ring buffer overran, or the store dropped them."""
    RESTARTED = "restarted"
    """The sequence fell: another service writes now."""
    MALFORMED = "malformed"
    """A line that is no record."""
    SILENT = "silent"
    """No record came, though the polls were on time: the store or the domUs stood still."""
    LATE = "late"
    """The polls themselves were late: the host, or QEMU's monitor, stood still."""
    SOURCE = "source"
    """A poll failed."""


class Gap(Line):
    """One hole in the samples, and of which kind it is."""

    kind: GapKind
    records: int | None = None
    """Records that are missing, where that is known."""
    seconds: float | None = None
    """How long nothing came, where that is what was noticed."""
    detail: str = ""


class Sample(Line):
    """One poll of every source."""

    variant: str
    host_seconds: float
    """The host's monotonic clock when the poll began."""
    seconds: float
    """Since this variant's sampling began."""
    machine: MachineMemory | None
    dom0: Dom0Memory | None
    records: list[Record]
    """What the store wrote since the last poll, oldest first."""
    gaps: list[Gap]
    note: str | None = None
    """A moment that the runner marked, such as ``workload-started``."""

    @property
    def marks(self) -> list[MarkRecord]:
        """The MARKs among the records."""
        return [record for record in self.records if isinstance(record, MarkRecord)]

    @property
    def events(self) -> list[EventRecord]:
        """The events among the records."""
        return [record for record in self.records if isinstance(record, EventRecord)]


def _bytes(value: object) -> int | None:
    """A figure, or None where QEMU says that there is none: absent, null, -1 or 2**64 - 1."""
    return value if isinstance(value, int) and 0 <= value < 2**63 else None
