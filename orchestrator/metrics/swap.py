"""Where one domU's swapped pages are kept, as the kernel that keeps them tells it.

Used where no store does: a kernel's own files say what zram and zswap hold, and
how many swap slots are in use. Pure: text in, figures out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.metrics.samples import Line

__all__ = ["Place", "SwapSample", "swap_sample"]

Place = Literal["domU", "dom0"]

Count = Annotated[int, Field(ge=0)]

_PAGE_KIB = 4
"""/proc/swaps counts in KiB."""
_ZRAM_ENTRY = 16
"""Bytes of struct zram_table_entry on arm64, one for each page of the disk."""
_ZSWAP_ENTRY = 64
"""Bytes of struct zswap_entry on arm64, one for each page that is kept."""


class SwapSample(Line):
    """One look at one domU's swap, in its own kernel or in dom0's. Pages of 4096 bytes.

    What that place does not know is null.
    """

    variant: str
    domain: str
    """Whose pages they are."""
    place: Place
    """Whose kernel was asked."""
    seconds: Annotated[float, Field(ge=0)]
    """Since the workload's start, on that kernel's own clock."""
    slots_used_pages: Count | None = None
    """Swap slots in use, of all swap devices."""
    kept_pages: Count | None = None
    """Kept compressed in memory here, same-filled ones included."""
    same_filled_pages: Count | None = None
    payload_bytes: Count | None = None
    """Compressed bytes. zswap does not count them."""
    memory_bytes: Count | None = None
    """All memory that they take here, tables included."""


def swap_sample(
    variant: str, domain: str, place: Place, seconds: float, files: Mapping[str, str | None]
) -> SwapSample:
    """From the text of the files that memwatch copied, by name.

    Args:
        files: ``swaps`` is /proc/swaps, ``mm_stat`` and ``disksize`` are zram's,
            ``stored``, ``same`` and ``pool`` are zswap's; None or absent where
            there is no such file.
    """
    figures: dict[str, int] = {}
    if (swaps := files.get("swaps")) is not None:
        figures["slots_used_pages"] = _used(swaps)
    disksize = int(files.get("disksize") or 0)
    # every kernel with the driver has a zram disk, of no size until it is used
    if (mm_stat := files.get("mm_stat")) and disksize:
        figures |= _zram(mm_stat, disksize)
    elif (stored := files.get("stored")) and (pool := files.get("pool")):
        figures |= _zswap(int(stored), int(files.get("same") or 0), int(pool))
    return SwapSample(variant=variant, domain=domain, place=place, seconds=seconds, **figures)


def _used(swaps: str) -> int:
    """The fourth column of every line but the headings: KiB."""
    return sum(int(line.split()[3]) for line in swaps.splitlines()[1:]) // _PAGE_KIB


def _zram(mm_stat: str, disksize: int) -> dict[str, int]:
    """See admin-guide/blockdev/zram.rst for the columns."""
    original, payload, memory, _, _, same, *_ = map(int, mm_stat.split())
    return {
        "kept_pages": original // 4096,
        "same_filled_pages": same,
        "payload_bytes": payload,
        "memory_bytes": memory + disksize // 4096 * _ZRAM_ENTRY,
    }


def _zswap(stored: int, same: int, pool: int) -> dict[str, int]:
    return {
        "kept_pages": stored,
        "same_filled_pages": same,
        "memory_bytes": pool + stored * _ZSWAP_ENTRY,
    }
