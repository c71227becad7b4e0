"""What the runner knows of one variant: how it ended, clocks, digests, latencies.

It is kept with the table at its peak in ``variants/<name>.json``, so that
``summary.json`` and the report can be made again from the folder alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.experiment.variant import Swap
from orchestrator.experiment.workload import WorkloadKind
from orchestrator.metrics.records import Peak
from orchestrator.results.manifest import SCHEMA_VERSION, Entry

__all__ = [
    "ChurnFigures",
    "DomainOutcome",
    "FaultOutcome",
    "HostileFigures",
    "Latency",
    "LatencyFigures",
    "PageStreamFigures",
    "VariantFile",
    "VariantOutcome",
    "Verdict",
    "WorkingSetFigures",
]

Verdict = Literal["OK", "WORKLOAD_FAILED", "GUEST_PANIC", "GUEST_HUNG", "INFRA_FAILED", "INVALID"]

Seconds = Annotated[float, Field(ge=0)]
Pages = Annotated[int, Field(ge=0)]


class LatencyFigures(Entry):
    """How long one operation takes as the domU sees it, on the guest's clock."""

    count: Annotated[int, Field(ge=0)]
    median_microseconds: Seconds | None
    p99_microseconds: Seconds | None


class Latency(Entry):
    """The operations of one domU; null where not measured."""

    store: LatencyFigures | None = None
    load: LatencyFigures | None = None


class PageStreamFigures(Entry):
    """Pages that went out and came back, on the guest's clock; null where none did."""

    pages: int
    """In the buffer; each round moves all of them twice, in chunks and one by one."""
    rounds: int
    out_pages: int
    """Paged out in chunks, and really out."""
    out_seconds: Seconds
    """Until they were written, where that goes on behind the call."""
    out_per_second: Seconds | None
    out_median_microseconds: Seconds | None
    """Of single page-outs."""
    out_p99_microseconds: Seconds | None
    in_pages: int
    """Touched while they were out, one by one and in no order."""
    in_seconds: Seconds
    in_per_second: Seconds | None
    in_median_microseconds: Seconds | None
    in_p99_microseconds: Seconds | None
    still_in_pages: int
    """Touched while they were in memory still: they count nowhere else."""
    mismatches: int
    """Pages that came back with other bytes."""
    memory_bytes: int | None
    """Of the domU, taken by what keeps its swapped pages."""


class ChurnFigures(Entry):
    """Pages that went out and came back, over and over, each compared byte for byte."""

    rounds: int
    """Complete ones, of all loops."""
    pages: int
    """Asked back."""
    errors: int
    """That came back as an error (SIGBUS)."""
    mismatches: int
    """That came back with other bytes."""


class WorkingSetFigures(Entry):
    """What was done to a working set, each page of 4096 bytes."""

    pages: Pages
    rounds: int
    """In which every page was touched once; it was filled before, and read once more."""
    rewrites: Pages
    """Touches that gave a page new content."""
    verified: Pages
    """Touches that compared every byte of a page: all others."""
    fill_seconds: Seconds
    """The part of the time that filling it took, on the clock that the guest had."""


class HostileFigures(Entry):
    """What a store that lies did, and what the frontend that it lied to made of it."""

    seed: int
    starts: int
    """Times that it started, each with another instance."""
    connections: int
    """Of the frontend that was lied to."""
    left: int
    """Starts that ended because the frontend left."""
    answers: int
    """To that frontend, true or not."""
    lies: dict[str, int]
    """How often each was told."""
    counters: dict[str, int]
    """The frontend's own, at the end."""


class FaultOutcome(Entry):
    """One fault that was struck on purpose."""

    kind: str
    number: int
    """Counted from 1 within its kind."""
    host_seconds: float
    """The host's monotonic clock when it was struck."""
    seconds: Seconds
    """How long the store, or the domU, was away."""
    recovery_seconds: Seconds
    """From then until every domU was connected to a store that answers."""
    done: str


class DomainOutcome(Entry):
    """What one domU's workload came to. Clocks are never mixed: null where not read."""

    name: str
    workload: Literal[WorkloadKind, "pages"] = "kernel-compile"
    exit_code: int | None = None
    guest_seconds: Seconds | None = None
    """By the guest's own clock."""
    wall_seconds: Seconds | None = None
    """By the host's clock."""
    instruction_seconds: Seconds | None = None
    """By counted instructions."""
    memory_mib: int | None = None
    """That it was given."""
    swapped_out_pages: Pages | None = None
    """While the workload ran, wherever to."""
    swapped_in_pages: Pages | None = None
    cpu_seconds: Seconds | None = None
    """That it computed from the barrier to the last domU's end, as Xen counts it."""
    digests: dict[str, str] | None = None
    """SHA-256 of every object, by its name, or of what a script printed; of a working set,
    64 bits of what each round read."""
    latency: Latency = Latency()
    rounds: int | None = None
    """Of ``pages``: how many were complete and good, as far as they were told."""
    page_stream: PageStreamFigures | None = None
    churn: ChurnFigures | None = None
    working_set: WorkingSetFigures | None = None


class VariantOutcome(Entry):
    """How one variant ended and what each domU's workload came to."""

    name: str
    title: str = ""
    randomize_va_space: Literal[0, 1, 2]
    swap: Swap = "pageshare"
    timing: Literal["realtime", "icount"] = "realtime"
    """Which clock the guests had."""
    expect: Literal["OK", "WORKLOAD_FAILED"] = "OK"
    """How it had to end."""
    verdict: Verdict = "OK"
    """By what ended it; the figures may still make it INVALID."""
    reason: str | None = None
    """The failure message, with the consoles' last lines."""
    wall_seconds: Seconds | None = None
    domains: list[DomainOutcome] = Field(default_factory=list)
    dom0_cpu_seconds: Seconds | None = None
    """Like the domUs' ``cpu_seconds``."""
    reference_digests: dict[str, str] | None = None
    """SHA-256 of every object of the run that did not swap; of working sets, what the
    same program reads that holds none."""
    own_digests: bool = False
    """Whether these are each domU's own, by domU and object or round."""
    store_requests_per_second: Seconds | None = None
    """Requests a second served to one domU, where the run measured it."""
    faults: list[FaultOutcome] = Field(default_factory=list)
    builds: int | None = None
    """Complete builds, where they were repeated."""
    kernel: str = "pageshare"
    """Variant of the kernel that the domUs booted."""
    host_load: int = 0
    """Processes that kept the host busy meanwhile."""
    hostile: HostileFigures | None = None
    """Where the store lied."""
    problems: list[str] = Field(default_factory=list)
    """What was seen while it ran that proves the figures wrong."""
    oracle_missing: str | None = None
    """Why the oracle that was asked for says nothing."""

    @property
    def worked(self) -> bool:
        """Whether its domUs had working sets."""
        return any(one.workload == "working-set" for one in self.domains)


class VariantFile(Entry):
    """``variants/<name>.json``."""

    schema_version: Literal[1] = SCHEMA_VERSION
    outcome: VariantOutcome
    peak: Peak | None
    """The store's own copy of its table at the peak; null where it could not be read."""
