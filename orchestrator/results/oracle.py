"""``oracle/<variant>.json``: what the oracle saw, and the figures that follow from it.

What it saw is kept page by page, but for the pages themselves: which domain each
belongs to, its payload's length, and which others are like it. So every figure
can be computed again from the file. Memory is kept as the sizes of its classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.metrics.records import PAGE_SIZE, FormState
from orchestrator.oracle.ceiling import ceiling
from orchestrator.results.manifest import SCHEMA_VERSION, Entry

__all__ = [
    "CeilingFigures",
    "OracleDomain",
    "OracleFigures",
    "OracleFile",
    "OracleMemory",
    "OraclePages",
    "OracleTable",
    "ResidentFigures",
    "oracle_figures",
    "oracle_problems",
]

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Sizes = dict[int, Count]
"""How many classes there are of each size."""


class OracleDomain(Entry):
    """One domU when it was looked at. Pages, where nothing else is said."""

    name: str
    memory_bytes: Count
    paused_seconds: Seconds
    """By dom0's clock, in all looks together."""
    references: Count
    """That the store counted for it."""
    charged_bytes: Count
    """Payload of all of them, by the store's account."""
    mark_held_pages: Count | None
    """This and the next two: of its last MARK before it was paused; null without one."""
    mark_same_filled_pages: Count | None
    mark_swap_slots_used: Count | None

    @property
    def disk_pages(self) -> int | None:
        """Swapped pages that are on its swap disk, as it counted them at its last MARK.

        Linux counts slots as used that it has set aside for its CPUs (up to 64 each, and
        as many that were given back), so these may be fewer.
        """
        used, held, same = (
            self.mark_swap_slots_used,
            self.mark_held_pages,
            self.mark_same_filled_pages,
        )
        if used is None or held is None or same is None:
            return None
        # a page counts as held when its request is queued, a slot when it is freed
        return max(used - held - same, 0)


class OracleTable(Entry):
    """The page sharing table when it was looked at."""

    entries: Count
    payload_bytes: Count


class OraclePages(Entry):
    """Every page that was looked at, column by column."""

    domain: list[Count]
    """Index of its domain."""
    on_disk: list[Literal[0, 1]]
    """1: it is on the swap disk, or was once."""
    length: list[Count]
    """Bytes of its own payload."""
    exact: list[Count]
    """Number of its class of equal pages."""
    pointers: list[Count]
    """Number of its class of pages that are equal but for their pointers."""

    @model_validator(mode="after")
    def _as_long_as_each_other(self) -> OraclePages:
        if len({len(column) for _, column in self}) != 1:
            raise ValueError("the columns differ in length")
        return self


class OracleMemory(Entry):
    """The pages in memory outside of dom0's that were not zero."""

    pages: Count
    exact: Sizes
    pointers: Sizes
    equal_to_swapped: Count
    """Of the pages: those whose equal was also swapped out."""


class OracleFile(Entry):
    """What was seen in one variant at one moment."""

    schema_version: Literal[1] = SCHEMA_VERSION
    variant: str
    dom0_seconds: float
    """dom0's clock when the domUs stood."""
    seconds: Seconds
    """Since the workload began, by that clock."""
    chosen: Literal["at_seconds", "peak"]
    """Why then: the experiment file says so, or it was the last look near a peak."""
    looks: Annotated[int, Field(ge=1)]
    """How often it looked. Only the last look is kept."""
    stopped_seconds: Seconds
    """For how long QEMU stood, by the host's clock, in all looks; no guest's went on."""
    compressor: str
    """By which pages on a swap disk were measured."""
    lost_pages: Count
    """References in the store whose page is damaged: they are not looked at."""
    table: OracleTable
    """By the store's own account."""
    counted: OracleTable
    """As the oracle counted in a copy of the store's files."""
    forms: dict[str, FormState] = Field(default_factory=dict)
    """What the store keeps in another form than it was sent in, by its own account."""
    domains: list[OracleDomain]
    pages: OraclePages
    memory: OracleMemory | None
    """Null where it was not looked at."""


class CeilingFigures(Entry):
    """The most that one way of sharing could save. Bytes of payload."""

    bytes: Count
    """Over all pages that were looked at."""
    within_bytes: Count
    """Of them, by sharing inside each domU alone."""
    between_bytes: Count
    """What sharing between domUs adds."""
    least_bytes: Count
    """Over the store's pages alone: less than ``bytes`` by what the swap disks' pages can
    add, of which some may be stale."""
    reduction: float | None
    """What the reduction would be if the store reached this with the pages that it has."""
    efficiency: float | None
    """What the store saves by sharing / ``bytes``; null where there is nothing to save.
    Pages that differ in their pointers count where these may differ."""


class ResidentFigures(Entry):
    """What sharing of the domUs' memory would add."""

    pages: Count
    """In memory outside of dom0's, not zero: the domUs', and a few of Xen's."""
    bytes: Count
    exact_bytes: Count
    """That sharing of equal pages would save."""
    pointer_bytes: Count
    """And of pages that are equal but for their pointers, if what differs cost nothing."""
    equal_to_swapped: Count
    """Pages whose equal was swapped out."""


class OracleFigures(Entry):
    """How much sharing was possible at the moment when the oracle looked."""

    seconds: float
    """Since the workload began, by dom0's clock."""
    chosen: Literal["at_seconds", "peak"]
    looks: int
    paused_seconds: float | None
    """The longest that a domU was in all looks, by dom0's clock; taken off its times."""
    logical_bytes: Count | None
    """Swapped out and kept by the frontends then: in the store, or as values."""
    held_pages: Count
    """References that the store held."""
    same_filled_pages: Count | None
    """Kept as values by the domUs at their last MARKs: they cost no payload, so no sharing
    saves any on them."""
    disk_pages: Count | None
    """On the swap disks, as the domUs counted at their last MARKs."""
    disk_pages_seen: Count
    """Blocks of the swap disks that were looked at: those, and perhaps stale ones."""
    coverage: float | None
    """Swapped pages that were looked at / all of them, same-filled ones aside; too low by
    the free slots that Linux has set aside and counts as used."""
    charged_bytes: Count
    """Payload, if every holder kept its own."""
    payload_bytes: Count
    """What the store kept."""
    saved_bytes: Count
    """By sharing of equal pages: the difference, less what the second look saved."""
    twins_saved_bytes: Count = 0
    """By keeping pages as what their pointers have moved by."""
    reduction: float | None
    """At this moment, as at the peak."""
    exact: CeilingFigures
    pointers: CeilingFigures
    resident: ResidentFigures | None


def oracle_figures(seen: OracleFile) -> OracleFigures:
    """Everything that follows from what was seen."""
    pages = seen.pages
    in_store = [index for index, disk in enumerate(pages.on_disk) if not disk]
    charged = sum(pages.length[index] for index in in_store)
    saved = max(charged - _shared_bytes(seen), 0)
    twins = seen.forms["twin"].saved_bytes if "twin" in seen.forms else 0
    same = _sum_known([one.mark_same_filled_pages for one in seen.domains])
    disk = _sum_known([one.disk_pages for one in seen.domains])
    on_disk = len(pages.on_disk) - len(in_store)
    logical = None if same is None else (len(in_store) + same) * PAGE_SIZE

    def figures(classes: Sequence[int], saved: int) -> CeilingFigures:
        most = ceiling(pages.domain, classes, pages.length)
        least = ceiling(
            *([column[i] for i in in_store] for column in (pages.domain, classes, pages.length))
        ).total_bytes
        return CeilingFigures(
            bytes=most.total_bytes,
            within_bytes=most.within_bytes,
            between_bytes=most.between_bytes,
            least_bytes=least,
            reduction=_reduction(logical, charged - least),
            efficiency=saved / most.total_bytes if most.total_bytes else None,
        )

    return OracleFigures(
        seconds=seen.seconds,
        chosen=seen.chosen,
        looks=seen.looks,
        logical_bytes=logical,
        paused_seconds=max((one.paused_seconds for one in seen.domains), default=None),
        held_pages=len(in_store),
        same_filled_pages=same,
        disk_pages=disk,
        disk_pages_seen=on_disk,
        coverage=_coverage(len(in_store), on_disk, disk, seen.lost_pages),
        charged_bytes=charged,
        payload_bytes=seen.table.payload_bytes,
        saved_bytes=saved,
        reduction=_reduction(logical, seen.table.payload_bytes),
        twins_saved_bytes=max(twins, 0),
        exact=figures(pages.exact, saved),
        pointers=figures(pages.pointers, saved + max(twins, 0)),
        resident=_resident(seen.memory) if seen.memory else None,
    )


def oracle_problems(seen: OracleFile) -> Iterator[str]:
    """Where what was seen does not fit together, or not what the store said then."""
    pages = seen.pages
    if any(index >= len(seen.domains) for index in pages.domain):
        yield "pages of a domain that is not listed"
        return
    rows = list(zip(pages.domain, pages.on_disk, pages.length, pages.exact, strict=True))
    for index, domain in enumerate(seen.domains):
        held = [length for one, disk, length, _ in rows if one == index and not disk]
        if not seen.lost_pages and len(held) != domain.references:
            yield f"{domain.name}: {len(held)} pages, but the store counted {domain.references}"
        if not seen.lost_pages and sum(held) != domain.charged_bytes:
            yield f"{domain.name}: {sum(held)} bytes, but charged were {domain.charged_bytes}"
    if not seen.lost_pages and seen.counted != seen.table:
        yield (
            f"{seen.counted.entries} pages of {seen.counted.payload_bytes} bytes are kept, but "
            f"the store says {seen.table.entries} of {seen.table.payload_bytes}"
        )
    least = {exact: length for _, disk, length, exact in rows if not disk}
    if sum(least.values()) > _shared_bytes(seen):
        yield (
            f"different pages take {sum(least.values())} bytes, more than the "
            f"{_shared_bytes(seen)} that the store was sent of what it kept"
        )
    if len(set(zip(pages.exact, pages.pointers, strict=True))) != len(set(pages.exact)):
        yield "equal pages are not in one class of pages that differ in pointers only"
    if seen.memory is not None:
        yield from _memory_problems(seen.memory)


def _shared_bytes(seen: OracleFile) -> int:
    """Payload of the different pages as they were sent."""
    return seen.table.payload_bytes + sum(one.saved_bytes for one in seen.forms.values())


def _memory_problems(memory: OracleMemory) -> Iterator[str]:
    for name, sizes in (("exact", memory.exact), ("pointers", memory.pointers)):
        total = sum(size * count for size, count in sizes.items())
        if total != memory.pages:
            yield f"memory: classes ({name}) of {total} pages, but there are {memory.pages}"
    if memory.equal_to_swapped > memory.pages:
        yield "memory: more pages are equal to swapped ones than there are"


def _coverage(held: int, seen_on_disk: int, on_disk: int | None, lost: int) -> float | None:
    """None while the domUs' own count is not known, or where nothing was swapped out."""
    if on_disk is None or not held + lost + on_disk:
        return None
    return (held + min(seen_on_disk, on_disk)) / (held + lost + on_disk)


def _reduction(logical: int | None, payload: int) -> float | None:
    return 1 - payload / logical if logical else None


def _resident(memory: OracleMemory) -> ResidentFigures:
    return ResidentFigures(
        pages=memory.pages,
        bytes=memory.pages * PAGE_SIZE,
        exact_bytes=_saved(memory.exact),
        pointer_bytes=_saved(memory.pointers),
        equal_to_swapped=memory.equal_to_swapped,
    )


def _saved(sizes: Sizes) -> int:
    """All pages of a class but one."""
    return sum((size - 1) * count for size, count in sizes.items()) * PAGE_SIZE


def _sum_known(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
