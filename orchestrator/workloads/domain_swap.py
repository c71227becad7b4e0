"""How a domU swaps: what has to be set up in it, and what has gone out and come back.

========== =====================================================================
pageshare  frontswap takes the pages; the disk behind it has what the store refuses
zram       a compressed disk in the domU's own memory, in place of its swap disk
zswap      frontswap again, and the domU's own memory; the disk behind it has the rest
disk       the domU's swap disk
dom0-zram  the same, but dom0 made it of compressed memory
none       no swap at all
========== =====================================================================

Except with the first, the domU's kernel must have been told to leave the store alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.deadline import Deadline
from orchestrator.experiment.variant import Swap
from orchestrator.machine import DomainHandle

__all__ = ["ZRAM", "DomainSwap", "PageCounts", "swapped_pages"]

ZRAM = "/sys/block/zram0"
DISK = "/dev/xvde"

_ZRAM = """\
set -e
swapoff {disk}
echo {compressor} >{zram}/comp_algorithm
echo {mebibytes}M >{zram}/disksize
mkswap /dev/zram0 >/dev/null
swapon /dev/zram0
"""
# -d: dom0 is told which slots are free again, or it would keep their pages for ever
_DOM0_ZRAM = """\
set -e
swapoff {disk}
swapon -d {disk}
"""
_NOT_OURS = ("pswpout", "zswpout"), ("pswpin", "zswpin")
"""Of /proc/vmstat: pages to and from swap devices, and to and from zswap."""
_OURS = (("stores", "stores_same_filled"), ("loads", "loads_same_filled"))
"""The frontend's counters of pages that it took and gave back."""
_COUNT = """\
cat /proc/vmstat
for file in {files}; do
    [ ! -r /sys/kernel/debug/pageshare/$file ] || {{
        read value </sys/kernel/debug/pageshare/$file && echo $file $value
    }}
done
"""


@dataclass(frozen=True)
class DomainSwap:
    """One kind of swap."""

    kind: Swap = "pageshare"
    compressor: str = "lz4"
    """Of zram; others have theirs by the time that the domU is up."""

    def set_up(self, domain: DomainHandle, mebibytes: int, deadline: Deadline) -> None:
        """Do what is left to do in a domU that has just booted.

        Args:
            mebibytes: size of a zram disk.

        Raises:
            WorkloadFailed: its kernel cannot swap this way.
        """
        values = {"disk": DISK, "zram": ZRAM, "compressor": self.compressor}
        match self.kind:
            case "zram":
                script = _ZRAM.format(mebibytes=mebibytes, **values)
            case "dom0-zram":
                script = _DOM0_ZRAM.format(**values)
            case _:
                return
        domain.ssh.run(script, deadline=deadline)


@dataclass(frozen=True)
class PageCounts:
    """Pages that one domU has swapped, wherever to."""

    out: int
    back: int

    def since(self, before: PageCounts) -> PageCounts:
        """How many more than ``before``."""
        return PageCounts(self.out - before.out, self.back - before.back)


def swapped_pages(domain: DomainHandle, deadline: Deadline) -> PageCounts:
    """Since it booted. A page that went out twice counts twice."""
    files = " ".join(name for names in _OURS for name in names)
    said = domain.ssh.run(_COUNT.format(files=files), deadline=deadline).stdout
    return page_counts(said)


def page_counts(said: str) -> PageCounts:
    """From lines of a name and a number."""
    counted = {name: int(value) for name, value in map(str.split, said.splitlines())}
    out, back = (
        sum(counted.get(name, 0) for name in (*theirs, *ours))
        for theirs, ours in zip(_NOT_OURS, _OURS, strict=True)
    )
    return PageCounts(out, back)
