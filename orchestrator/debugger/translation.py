"""Xen's own address space, read from outside: whatever a CPU runs, Xen can be looked at.

A CPU that runs a domain gives a debugger that domain's view of memory. Xen's is
found by its page tables (one stage, at EL2), which lie in physical memory.

Source: Arm ARM (DDI 0487), D8.3, VMSAv8-64 with 4 KiB pages and four levels;
xen/arch/arm/include/asm/{current,percpu}.h and xen/include/xen/sched.h of Xen 4.17.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Current", "XenMemory"]

Read = Callable[[int, int], bytes]
"""Physical address and size in bytes to the bytes there."""

_ADDRESS = 0x0000_FFFF_FFFF_F000
_VALID, _TABLE = 1, 2
_LEVELS = 4

# struct vcpu begins with: int vcpu_id, int processor, pointer, struct domain *domain
_VCPU_DOMAIN = 16
# struct domain begins with: domid_t domain_id (16 bits)


@dataclass(frozen=True)
class Current:
    """Whose context a CPU has."""

    domid: int
    vcpu: int


class XenMemory:
    """Xen's virtual memory on one CPU.

    Args:
        table: of the CPU's first-level table, physical (``TTBR0_EL2``).
        per_cpu: where the CPU's own variables lie, from their link address
            (``TPIDR_EL2``).
        read: of physical memory.
    """

    def __init__(self, table: int, per_cpu: int, read: Read) -> None:
        self._table = table & _ADDRESS
        self._per_cpu = per_cpu
        self._read = read

    def physical(self, address: int) -> int:
        """Where a virtual address lies. Raises ``LookupError`` if it is not mapped."""
        table = self._table
        for level in range(_LEVELS):
            shift = 39 - 9 * level
            entry = self._physical_integer(table + 8 * (address >> shift & 0x1FF), 8)
            if not entry & _VALID:
                break
            table = entry & _ADDRESS
            last = level == _LEVELS - 1
            if last == bool(entry & _TABLE):  # a page, or a block of many
                inside = (1 << shift) - 1
                return (table & ~inside) | (address & inside)
        raise LookupError(f"{address:#x} is not mapped in Xen")

    def integer(self, address: int, size: int) -> int:
        """A little-endian unsigned integer of ``size`` bytes that crosses no page."""
        return self._physical_integer(self.physical(address), size)

    def current(self, variable: int) -> Current:
        """The vCPU that the CPU runs: ``variable`` is the address of ``per_cpu__curr_vcpu``."""
        return self.vcpu(self.integer(variable + self._per_cpu & (1 << 64) - 1, 8))

    def vcpu(self, address: int) -> Current:
        """That of a ``struct vcpu``."""
        domain = self.integer(address + _VCPU_DOMAIN, 8)
        return Current(self.integer(domain, 2), self.integer(address, 4))

    def _physical_integer(self, address: int, size: int) -> int:
        return int.from_bytes(self._read(address, size), "little")
