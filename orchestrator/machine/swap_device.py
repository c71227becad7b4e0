"""Swap disks of domUs that dom0 makes in its own memory.

dom0 finds every disk of a domU by its name below ``/dev/disk/testbed``: these get
theirs there too, so that the domU's configuration is the same.
"""

from __future__ import annotations

from orchestrator.deadline import Deadline
from orchestrator.machine.description import DomainDescription
from orchestrator.machine.ssh import Ssh

__all__ = ["make_swap_device", "swap_device_script", "swap_disk"]

_ZRAM = """\
set -e
[ -e {disk} ] && exit
read number </sys/class/zram-control/hot_add
zram=/sys/block/zram$number
echo {compressor} >$zram/comp_algorithm
echo {mebibytes}M >$zram/disksize
echo {limit}M >$zram/mem_limit
mkswap /dev/zram$number >/dev/null
ln -s /dev/zram$number {disk}
"""
# The disk has the folder's name. Completed by a timer (irqmode 2), as by a device that
# takes its time. What it holds takes dom0's memory, which nobody would count as a disk's.
_SLOW_DISK = """\
set -e
[ -e {disk} ] && exit
null=/sys/kernel/config/nullb/swap-{name}
mkdir $null
echo 4096 >$null/blocksize
echo {mebibytes} >$null/size
echo 1 >$null/memory_backed
echo 2 >$null/irqmode
echo {nanoseconds} >$null/completion_nsec
echo {bandwidth} >$null/mbps
echo 1 >$null/power
mkswap /dev/swap-{name} >/dev/null
ln -s /dev/swap-{name} {disk}
"""


def swap_disk(name: str) -> str:
    """Where a domU's swap disk is found in dom0."""
    return f"/dev/disk/testbed/swap.{name}"


def swap_device_script(domain: DomainDescription) -> str | None:
    """What makes it in dom0 (sh), once; None for a disk of QEMU's, or none."""
    device = domain.swap_device
    values = {"disk": swap_disk(domain.name), "mebibytes": domain.swap_mib}
    match device.kind:
        case "zram":
            return _ZRAM.format(compressor=device.compressor, limit=device.limit_mib, **values)
        case "slow-disk":
            return _SLOW_DISK.format(
                name=domain.name,
                nanoseconds=device.latency_us * 1000,
                bandwidth=device.mebibytes_per_second,
                **values,
            )
        case _:
            return None


def make_swap_device(dom0: Ssh, domain: DomainDescription, deadline: Deadline) -> None:
    """Make a domU's swap disk in dom0, where it is dom0 that makes it.

    Raises:
        InfrastructureError: dom0's kernel refuses.
    """
    script = swap_device_script(domain)
    if script is not None:
        dom0.run(script, deadline=deadline)
