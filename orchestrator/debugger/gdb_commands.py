"""What gdb loads: whose context each CPU has, and breakpoints that stop in one domain alone.

QEMU shows gdb the machine's CPUs, and Xen runs all domains on them. This file is
loaded into gdb by its ``source`` command, so it needs nothing but gdb's Python.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestrator.debugger.translation import Current, XenMemory

ENDPOINTS = "TESTBED_ENDPOINTS"
"""Environment: the running machine's file; read anew each time, since domUs come and go."""
TARGET = "TESTBED_TARGET"
"""Environment: whose symbols are loaded beside Xen's."""

_IDLE = 0x7FFF
"""DOMID_IDLE: what a CPU runs when no vCPU wants it."""
_INTERRUPTS = ("el1h_64_irq_handler", "el0t_64_irq_handler")
"""Where Linux begins with every interrupt; one of them comes soon."""


def _register(name: str) -> int:
    return int(gdb.parse_and_eval(f"${name}")) & (1 << 64) - 1


def _physical_memory(address: int, size: int) -> bytes:
    def mode(on: int) -> None:
        gdb.execute(f"maintenance packet Qqemu.PhyMemMode:{on}", to_string=True)

    mode(1)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    finally:
        mode(0)


def _xen() -> XenMemory:
    return XenMemory(_register("TTBR0_EL2"), _register("TPIDR_EL2"), _physical_memory)


def _address(symbol: str) -> int:
    return int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))


def current() -> Current:
    """Whose context the selected CPU has. ``LookupError`` before Xen has begun on it."""
    return _xen().current(_address("per_cpu__curr_vcpu"))


def _exception_level() -> int:
    return _register("cpsr") >> 2 & 3


def _machine() -> dict[str, dict[str, object]]:
    known: dict[str, dict[str, object]] = json.loads(Path(os.environ[ENDPOINTS]).read_text())
    return known


def _domid(name: str) -> int:
    domids = _machine()["domids"]
    if name not in domids:
        raise gdb.GdbError(f"{name}: no such domain now; there are {', '.join(domids)}")
    return int(str(domids[name]))


def _name(domid: int) -> str:
    names = {number: name for name, number in _machine()["domids"].items()}
    return names.get(domid, f"domain {domid}")


@contextmanager
def _each_cpu() -> Iterator[list[gdb.InferiorThread]]:
    """All CPUs, as threads to switch to; the one that was selected is so again afterwards."""
    selected = gdb.selected_thread()
    try:
        yield sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)
    finally:
        selected.switch()


def _where(cpu: int) -> str:
    level, pc = _exception_level(), _register("pc")
    try:
        runs = current()
    except LookupError:
        return f"CPU {cpu}  EL{level}  {pc:#x}  (Xen is not up yet)"
    name = _name(runs.domid)
    whose = "idle" if runs.domid == _IDLE else f"{name} vCPU {runs.vcpu}"
    if level == 2:
        whose = f"Xen ({whose})"
    return f"CPU {cpu}  EL{level}  {whose:<24} {pc:#x} {_symbol(pc, level, name)}".rstrip()


def _symbol(pc: int, level: int, name: str) -> str:
    """The function at ``pc``, where symbols are loaded that can speak of it."""
    images = _machine()["images"]
    kernel = level == 1 and images.get(name) == images.get(os.environ[TARGET])
    if level != 2 and not kernel:
        return ""
    said = gdb.execute(f"info symbol {pc:#x}", to_string=True)
    return "" if said.startswith("No symbol") else said.split(" in section")[0].strip()


class Where(gdb.Command):
    """testbed-where: for each CPU its exception level and the domain whose context it has.

    At EL2 Xen itself runs, for that domain; memory is seen as the selected CPU sees it.
    """

    def __init__(self) -> None:
        super().__init__("testbed-where", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Run it."""
        del argument, from_tty
        with _each_cpu() as cpus:
            for number, thread in enumerate(cpus):
                thread.switch()
                print(_where(number))


class DomainBreakpoint(gdb.Breakpoint):
    """Stops a CPU only in the context of one domain, whatever its number is by then."""

    def __init__(self, domain: str, location: str) -> None:
        self.domain = domain
        super().__init__(location)

    def stop(self) -> bool:
        """Whether to stop; gdb asks with the CPU selected."""
        try:
            return current().domid == _domid(self.domain)
        except (LookupError, gdb.GdbError):
            return False


class Break(gdb.Command):
    """testbed-break DOMAIN LOCATION: break there, in the context of that domain alone.

    LOCATION is one of the domain's kernel, or of Xen while it works for the domain.
    """

    def __init__(self) -> None:
        super().__init__("testbed-break", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Run it."""
        del from_tty
        domain, _, location = argument.strip().partition(" ")
        if not location:
            raise gdb.GdbError("usage: testbed-break DOMAIN LOCATION")
        _domid(domain)
        DomainBreakpoint(domain, location.strip())


class Enter(gdb.Command):
    """testbed-enter: go on until a CPU is in the kernel whose symbols are loaded; select it.

    From there on gdb sees that kernel's memory. It waits for an interrupt in the domain.
    """

    def __init__(self) -> None:
        super().__init__("testbed-enter", gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Run it."""
        del argument, from_tty
        target = os.environ[TARGET]
        if target == "xen":
            raise gdb.GdbError("Xen is seen wherever a CPU is at EL2; this is for domains")
        if _select_inside(_domid(target)):
            return
        breakpoints = [DomainBreakpoint(target, location) for location in _INTERRUPTS]
        try:
            gdb.execute("continue")
        finally:
            for one in breakpoints:
                one.delete()


def _select_inside(domid: int) -> bool:
    """Select a CPU that runs the domain's kernel now, if one does."""
    for thread in gdb.selected_inferior().threads():
        before = gdb.selected_thread()
        thread.switch()
        if _exception_level() == 1 and current().domid == domid:
            return True
        before.switch()
    return False


class DomidOf(gdb.Function):
    """$domid_of(VCPU): Xen's number of the domain that a ``struct vcpu *`` belongs to.

    Without an argument: of the domain whose context the selected CPU has.
    """

    def __init__(self) -> None:
        super().__init__("domid_of")

    def invoke(self, vcpu: gdb.Value | None = None) -> int:
        """Evaluate it."""
        if vcpu is None:
            return current().domid
        return _xen().vcpu(int(vcpu) & (1 << 64) - 1).domid


class Refused(gdb.Command):
    """Would end the machine, and with it the run: detach or quit leave it running."""

    def __init__(self, name: str) -> None:
        super().__init__(name, gdb.COMMAND_RUNNING)

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Refuse."""
        del argument, from_tty
        raise gdb.GdbError(self.__doc__ or "")


for command in (Where, Break, Enter, DomidOf):
    command()
for ending in ("kill", "run", "start"):
    Refused(ending)
