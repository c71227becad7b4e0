"""``summary.json``: the figures of a run. All shares are fractions of the logical bytes.

A figure that could not be had is null, never 0.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.experiment.variant import Swap
from orchestrator.experiment.workload import WorkloadKind
from orchestrator.results.manifest import SCHEMA_VERSION, Entry
from orchestrator.results.oracle import OracleFigures
from orchestrator.results.outcome import (
    ChurnFigures,
    HostileFigures,
    Latency,
    PageStreamFigures,
    Verdict,
    WorkingSetFigures,
)

__all__ = [
    "BooksFigures",
    "DigestFigures",
    "DomainSummary",
    "PeakFigures",
    "SamplingFigures",
    "ServiceFigures",
    "Summary",
    "VariantSummary",
]


class DomainSummary(Entry):
    """One domU in one variant. "At peak" is the MARK where all domUs' logical sum peaks."""

    name: str
    logical_bytes_peak: int | None
    """Its own maximum, whenever that was."""
    logical_bytes_at_peak: int | None
    same_filled_bytes_at_peak: int | None
    charged_bytes_at_peak: int | None
    distinct_bytes_at_peak: int | None
    swapped_bytes_at_peak: int | None
    """All its swap slots in use, the swap disk's included."""
    frontend_bytes: int | None
    guest_seconds: float | None
    wall_seconds: float | None
    instruction_seconds: float | None
    memory_mib: int | None = None
    """That it was given."""
    swapped_out_pages: int | None = None
    """While the workload ran, wherever to; null where not counted."""
    swapped_in_pages: int | None = None
    cpu_seconds: float | None = None
    """That it computed from the barrier to the last domU's end, as Xen counts it."""
    exit_code: int | None
    counters: dict[str, int] | None
    """Its counters at its last MARK: one per reason of refusal, among others."""
    latency: Latency
    workload: Literal[WorkloadKind, "pages"] = "kernel-compile"
    rounds: int | None = None
    """Of ``pages``: how many were complete and good, as far as they were told."""
    page_stream: PageStreamFigures | None = None
    churn: ChurnFigures | None = None
    working_set: WorkingSetFigures | None = None

    @property
    def workload_seconds(self) -> float | None:
        """By the run's own clock, guest time or counted instructions: never both."""
        return self.guest_seconds if self.instruction_seconds is None else self.instruction_seconds


class PeakFigures(Entry):
    """Which moment the figures are of."""

    sequence: int | None
    """Of the MARK; like the next one, null where there is no store."""
    dom0_seconds: float | None
    seconds: float | None
    """Since the workload's start."""
    source: Literal["store", "samples", "kernels"]
    """Who noticed it: the store itself; where its copy is missing, the host's samples of
    it; where there is no store, the kernels that keep the pages."""


class BooksFigures(Entry):
    """Whether both sides' tallies agreed at every MARK."""

    marks: int
    first_open_sequence: int | None
    first_open: dict[str, int] | None
    """The four figures at the first MARK where they did not close."""


class DigestFigures(Entry):
    """The objects that were built, compared between the domUs and with the run without swap;
    or what rounds over working sets read, compared with what they must."""

    objects: int | None
    compared_domains: list[str]
    reference: bool
    """Whether there was a run without swap to compare with."""
    differing: list[str]


class SamplingFigures(Entry):
    """How complete the samples are."""

    samples: int
    seconds: float | None
    longest_interval_seconds: float | None
    """Between two samples that hold a figure of every source."""
    records_lost: int
    gaps: dict[str, int]
    """Number of gaps by kind."""
    machine_bytes: int | None
    """The machine's memory, as QEMU tells it."""
    dom0_total_bytes: int | None
    dom0_available_bytes_lowest: int | None
    """The least that dom0 had left at any sample, by its balloon driver."""


class ServiceFigures(Entry):
    """The dom0 service between the first and the last MARK."""

    requests: int
    stores: int
    loads: int
    shared_hits: int
    busy_seconds: float
    requests_per_busy_second: float | None
    rss_bytes: int
    """The largest seen."""
    requests_per_second_one_domain: float | None
    """Requests a second served to one domU, where the run measured it."""
    looked_pages: int = 0
    """That the second look took up, again and again where it did."""
    look_seconds: float = 0.0
    """What that took, by dom0's clock."""


class VariantSummary(Entry):
    """One run of the experiment."""

    name: str
    title: str
    randomize_va_space: Literal[0, 1, 2]
    verdict: Verdict
    reasons: list[str]
    """Why it is not OK."""
    warnings: list[str]
    """What to know of it, though it may stand."""
    domains: list[DomainSummary]
    logical_bytes: int | None
    """Of all domUs at the peak."""
    payload_bytes: int | None
    footprint_bytes: int | None
    """All memory spent, in dom0 and in every domU."""
    store_footprint_bytes: int | None
    """The part of the footprint that lies in dom0."""
    frontend_bytes: int | None
    """The part that lies in the domUs: the frontends', which is fixed, so heavy in a small
    run; or all of it where a domU keeps its own pages."""
    reduction: float | None
    same_filled: float | None
    compression: float | None
    sharing_within: float | None
    sharing_between: float | None
    twins: float | None = None
    """This and the next two are what the store's second look adds."""
    near_twins: float | None = None
    recompression: float | None = None
    net_reduction: float | None
    coverage: float | None
    books_closed: bool | None
    digests_equal: bool | None
    table_entries: int | None
    """Sharing page entries at the peak."""
    sharing_histogram: dict[str, int] | None
    """Sharing page entries by their number of sharing domains, at the peak."""
    wall_seconds: float | None
    dom0_cpu_seconds: float | None = None
    """What dom0 computed from the barrier to the last domU's end, as Xen counts it: it
    keeps pages, and it serves the domUs' disks."""
    peak: PeakFigures | None
    books: BooksFigures
    digests: DigestFigures
    sampling: SamplingFigures
    service: ServiceFigures | None
    swap: Swap = "pageshare"
    """Where swapped pages went."""
    expect: Literal["OK", "WORKLOAD_FAILED"] = "OK"
    """How it had to end."""
    faults: dict[str, int] = Field(default_factory=dict)
    """How often each kind of fault was struck."""
    builds: int | None = None
    """Complete builds, where they were repeated."""
    kernel: str = "pageshare"
    """Variant of the kernel that the domUs booted."""
    host_load: int = 0
    """Processes that kept the host busy meanwhile."""
    hostile: HostileFigures | None = None
    """Where the store lied."""
    oracle: OracleFigures | None = None
    """How much sharing was possible; null where nobody looked, or could not."""


class Summary(Entry):
    """A whole run: written last, so that a folder without it is not complete."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    experiment: str
    workload: WorkloadKind = "kernel-compile"
    timing: Literal["realtime", "icount"] = "realtime"
    """Which clock the guests had: figures of one are never compared with the other's."""
    created_at: str
    finished_at: str
    verdict: Verdict
    reasons: list[str]
    guest_time_spread: float | None = None
    """On a counted clock: how far domUs' times lie apart that had the same inputs; a
    fraction."""
    variants: list[VariantSummary]
