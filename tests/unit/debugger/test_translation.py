from __future__ import annotations

import struct

import pytest

from orchestrator.debugger.translation import Current, XenMemory

ROOT, LEVEL1, LEVEL2, LEVEL3 = 0x4000_0000, 0x4000_1000, 0x4000_2000, 0x4000_3000
PAGE, BLOCK, GIGABYTE = 0x5000_0000, 0x5020_0000, 0x8000_0000
VALID, TABLE = 1, 2
ATTRIBUTES = 0x0060_0000_0000_0700
"""Bits that a real entry has beside the address, in both halves."""

XEN, HEAP, DIRECT = 0x0020_0000, 0x0040_0000, 0x8000_0000


class Memory:
    """Physical memory that knows only what was written."""

    def __init__(self) -> None:
        self.bytes: dict[int, int] = {}

    def write(self, address: int, data: bytes) -> None:
        self.bytes |= {address + number: byte for number, byte in enumerate(data)}

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.bytes.get(address + number, 0) for number in range(size))

    def entry(self, table: int, index: int, target: int, kind: int) -> None:
        self.write(table + 8 * index, struct.pack("<Q", target | ATTRIBUTES | kind))


@pytest.fixture
def memory() -> Memory:
    """Xen's text in pages, its heap in a block of 2 MiB, and one of 1 GiB."""
    memory = Memory()
    memory.entry(ROOT, 0, LEVEL1, VALID | TABLE)
    memory.entry(LEVEL1, 0, LEVEL2, VALID | TABLE)
    memory.entry(LEVEL2, 1, LEVEL3, VALID | TABLE)
    memory.entry(LEVEL3, 0, PAGE, VALID | TABLE)
    memory.entry(LEVEL3, 1, PAGE + 0x1000, VALID)  # no page: that encoding is reserved
    memory.entry(LEVEL2, 2, BLOCK, VALID)
    memory.entry(LEVEL1, 2, GIGABYTE, VALID)
    return memory


@pytest.fixture
def xen(memory: Memory) -> XenMemory:
    # the register also has an ASID above the address and CnP below it
    return XenMemory(ROOT | 1 << 48 | 1, 0, memory.read)


@pytest.mark.parametrize(
    ("address", "physical"),
    [
        (XEN + 0x123, PAGE + 0x123),
        (HEAP + 0x12_3456, BLOCK + 0x12_3456),
        (DIRECT + 0x1234_5678, GIGABYTE + 0x1234_5678),
    ],
)
def test_pages_and_blocks_of_every_size_are_found(xen, address, physical):
    assert xen.physical(address) == physical


@pytest.mark.parametrize("address", [XEN + 0x1000, XEN + 0x2000, 0x0060_0000, 1 << 39])
def test_what_is_not_mapped_is_not_found(xen, address):
    with pytest.raises(LookupError, match=f"{address:#x}"):
        xen.physical(address)


def test_a_cpu_s_context_is_found_through_its_own_copy_of_the_variable(memory):
    variable, offset = XEN + 0x280, HEAP + 0x1000 - XEN
    vcpu, domain = HEAP + 0x5000, HEAP + 0x7000
    memory.write(BLOCK + 0x1280, struct.pack("<Q", vcpu))
    memory.write(BLOCK + 0x5000, struct.pack("<iiQQ", 3, 1, 0, domain))
    memory.write(BLOCK + 0x7000, struct.pack("<H", 5))
    assert XenMemory(ROOT, offset, memory.read).current(variable) == Current(domid=5, vcpu=3)


def test_an_offset_below_zero_wraps_as_the_cpu_s_addition_does(memory):
    memory.write(PAGE + 0x280, struct.pack("<Q", HEAP))
    memory.write(BLOCK, struct.pack("<iiQQ", 0, 0, 0, HEAP + 0x100))
    memory.write(BLOCK + 0x100, struct.pack("<H", 0x7FFF))
    current = XenMemory(ROOT, 2**64 - 0x1000, memory.read).current(XEN + 0x1280)
    assert current == Current(domid=0x7FFF, vcpu=0)


def test_before_xen_has_tables_there_is_no_context(memory):
    with pytest.raises(LookupError):
        XenMemory(0, 0, memory.read).current(XEN)
