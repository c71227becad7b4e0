"""What the runner knows of one variant: how it ended, clocks, digests, latencies.

It is kept with the table at its peak in ``variants/<name>.json``, so that
``summary.json`` and the report can be made again from the folder alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.metrics.records import Peak
from orchestrator.results.manifest import SCHEMA_VERSION, Entry

__all__ = [
    "DomainOutcome",
    "Latency",
    "LatencyFigures",
    "VariantFile",
    "VariantOutcome",
    "Verdict",
]

Verdict = Literal["OK", "WORKLOAD_FAILED", "GUEST_PANIC", "GUEST_HUNG", "INFRA_FAILED", "INVALID"]

Seconds = Annotated[float, Field(ge=0)]


class LatencyFigures(Entry):
    """How long one operation takes as the domU sees it, on the guest's clock."""

    count: Annotated[int, Field(ge=0)]
    median_microseconds: Seconds | None
    p99_microseconds: Seconds | None


class Latency(Entry):
    """The operations of one domU; null where not measured."""

    store: LatencyFigures | None = None
    load: LatencyFigures | None = None


class DomainOutcome(Entry):
    """What one domU's workload came to. Clocks are never mixed: null where not read."""

    name: str
    exit_code: int | None = None
    guest_seconds: Seconds | None = None
    """By the guest's own clock."""
    wall_seconds: Seconds | None = None
    """By the host's clock."""
    instruction_seconds: Seconds | None = None
    """By counted instructions."""
    digests: dict[str, str] | None = None
    """SHA-256 of every object, by its name."""
    latency: Latency = Latency()


class VariantOutcome(Entry):
    """How one variant ended and what each domU's workload came to."""

    name: str
    title: str = ""
    randomize_va_space: Literal[0, 1, 2]
    verdict: Verdict = "OK"
    """By what ended it; the figures may still make it INVALID."""
    reason: str | None = None
    """The failure message, with the consoles' last lines."""
    wall_seconds: Seconds | None = None
    domains: list[DomainOutcome] = Field(default_factory=list)
    reference_digests: dict[str, str] | None = None
    """SHA-256 of every object of the run that did not swap."""
    store_requests_per_second: Seconds | None = None
    """Requests a second served to one domU, where the run measured it."""


class VariantFile(Entry):
    """``variants/<name>.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    outcome: VariantOutcome
    peak: Peak | None
    """The store's own copy of its table at the peak; null where it could not be read."""
