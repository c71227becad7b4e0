"""The emulated machine: Xen on QEMU's Arm virt board, dom0, the store and domUs.

``Machine.boot`` is the way in; everything it starts ends with its context.
"""

from orchestrator.machine.console import ConsoleLog
from orchestrator.machine.cpu_time import DOM0, CpuTime
from orchestrator.machine.description import (
    DEFAULT_KERNEL,
    DEFAULT_MACHINE,
    Dom0Description,
    DomainDescription,
    MachineDescription,
    QemuDescription,
    SecondLookDescription,
    StoreDescription,
    SwapDevice,
    address_of,
)
from orchestrator.machine.disks import MachineFiles
from orchestrator.machine.domains import DomainHandle
from orchestrator.machine.hostile import HostileStore
from orchestrator.machine.jobs import DetachedJob
from orchestrator.machine.payload import payload_files
from orchestrator.machine.qemu import ICOUNT_DATE
from orchestrator.machine.qmp import QmpClient
from orchestrator.machine.reports import kernel_reports
from orchestrator.machine.session import Dom0, Machine
from orchestrator.machine.ssh import CommandResult, Ssh, SshEndpoint
from orchestrator.machine.stillness import Held, Stillness
from orchestrator.machine.store import Store

__all__ = [
    "DEFAULT_KERNEL",
    "DEFAULT_MACHINE",
    "DOM0",
    "ICOUNT_DATE",
    "CommandResult",
    "ConsoleLog",
    "CpuTime",
    "DetachedJob",
    "Dom0",
    "Dom0Description",
    "DomainDescription",
    "DomainHandle",
    "Held",
    "HostileStore",
    "Machine",
    "MachineDescription",
    "MachineFiles",
    "QemuDescription",
    "QmpClient",
    "SecondLookDescription",
    "Ssh",
    "SshEndpoint",
    "Stillness",
    "Store",
    "StoreDescription",
    "SwapDevice",
    "address_of",
    "kernel_reports",
    "payload_files",
]
