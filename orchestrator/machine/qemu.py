"""QEMU's command line, built from the description, with the reason for every flag.

::

    Xen, kernel ---- -kernel, guest-loader          pl011 ---- console/xen-dom0.log
    disks ---------- virtio-blk (virtio-mmio)       virtio-serial
    user network --- virtio-net -- xenbr0              +-- pageshare.stats -- QMP ringbuf
                                                       +-- store.log -------- console/store.log
                                                       +-- console.<domU> --- console/<domU>.log
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.machine.description import MachineDescription
from orchestrator.machine.disks import Disk, MachineFiles

__all__ = [
    "BALLOON",
    "ICOUNT_DATE",
    "PROGRAM",
    "STATISTICS_BYTES",
    "STATISTICS_PORT",
    "STORE_LOG_PORT",
    "QemuMemory",
    "QemuPaths",
    "console_file",
    "qemu_argv",
]

PROGRAM = "qemu-system-aarch64"
BALLOON = "/machine/peripheral/balloon0"
STATISTICS_PORT = "pageshare.stats"
STORE_LOG_PORT = "store.log"
STATISTICS_BYTES = 65536
"""Size of the ring buffer behind the statistics port; QEMU wants a power of two."""

ICOUNT_SHIFT = 1
"""An instruction takes 2**ICOUNT_SHIFT ns of guest time: instructions, not cycles."""
ICOUNT_DATE = "2030-01-01T00:00:00"
"""When a machine on the counted clock boots, UTC."""

_LEAST_PORTS = 16
"""Of the virtio-serial device, whose default of 31 sets up more queues than most machines use."""

_KERNEL_ADDRESS = 0x49000000
"""Where guest-loader puts dom0's kernel: 144 MiB into RAM, clear of Xen and its device tree."""


@dataclass(frozen=True)
class QemuPaths:
    """The run-time files that QEMU makes."""

    qmp_socket: Path
    gdb_socket: Path
    consoles: Path
    """Folder of the console logs."""


@dataclass(frozen=True)
class QemuMemory:
    """The guests' memory in a file on the host, for a machine that is kept."""

    path: Path
    shared: bool
    """Whether what the guests write goes to the file, or is this QEMU's alone."""


def console_file(consoles: Path, name: str) -> Path:
    """The log of a console: ``name`` is a domU's, ``xen-dom0`` or ``store``."""
    return consoles / f"{name}.log"


def qemu_argv(
    description: MachineDescription,
    files: MachineFiles,
    disks: Sequence[Disk],
    paths: QemuPaths,
    memory: QemuMemory | None = None,
    *,
    resumes: bool = False,
) -> list[str]:
    """The whole command, program first.

    Args:
        disks: in any order, but dom0's root last (see :func:`_disks`).
        memory: the guests', where it is kept in a file.
        resumes: whether the machine is to go on where one that was kept stood;
            it then waits to be told from where.
    """
    qemu = description.qemu
    board = "virt,virtualization=on,gic-version=3"
    if memory is not None:
        board += ",memory-backend=ram"
    return [
        PROGRAM,
        "-name", "pageshare-testbed",
        # only what is named here: no default NIC, CD drive or configuration file
        "-nodefaults", "-no-user-config", "-display", "none",
        # virtualization=on gives EL2, where Xen runs; GICv3 is what Xen drives best
        "-machine", board,
        *_memory(description.memory_mib, memory),
        *(["-S", "-incoming", "defer"] if resumes else []),
        # a57: Armv8.0, so none of the pointer authentication that TCG is slow at
        "-cpu", qemu.cpu,
        "-smp", str(qemu.cpus),
        "-m", f"{description.memory_mib}M",
        *_clock(description),
        # the modern transport: the legacy one cannot offer iommu_platform
        "-global", "virtio-mmio.force-legacy=false",
        # a machine that resets has failed: stop, do not start over
        "-no-reboot",
        *_boot(description, files),
        *_consoles(description, paths),
        "-qmp", f"unix:{paths.qmp_socket},server=on,wait=off",
        # idle, and nothing is slower, until a debugger connects
        "-gdb", f"unix:{paths.gdb_socket},server=on,wait=off",
        *_network(description),
        # Linux's balloon driver refuses iommu_platform; dom0 is mapped 1:1, so its
        # own pages have the right addresses without
        "-device", "virtio-balloon-device,id=balloon0",
        # entropy for dom0, whose CPU has no random number instruction
        "-object", _entropy(description),
        *_virtio("virtio-rng-device", "rng=rng0"),
        *_disks(disks),
    ]  # fmt: skip


def _memory(mebibytes: int, memory: QemuMemory | None) -> list[str]:
    if memory is None:
        return []
    share = "on" if memory.shared else "off"
    path = _escaped(memory.path)
    return [
        "-object",
        f"memory-backend-file,id=ram,size={mebibytes}M,mem-path={path},share={share}",
    ]


def _clock(description: MachineDescription) -> list[str]:
    qemu = description.qemu
    # a large cache, since gcc is a large program
    cache = f"tb-size={qemu.translation_cache_mib}"
    if qemu.timing == "realtime":
        # one host thread a CPU
        return ["-accel", f"tcg,thread=multi,{cache}"]
    return [
        "-accel", f"tcg,thread=single,{cache}",
        # 2 ns an instruction, whatever the host is doing; where all CPUs wait, the
        # clock goes to the next timer at once
        "-icount", f"shift={ICOUNT_SHIFT},sleep=off",
        "-rtc", f"base={ICOUNT_DATE},clock=vm",
        # what QEMU draws for the guests: rng-builtin, seeds in the device tree
        "-seed", str(qemu.seed),
    ]  # fmt: skip


def _entropy(description: MachineDescription) -> str:
    if description.qemu.timing == "icount":
        return "rng-builtin,id=rng0"
    return "rng-random,id=rng0,filename=/dev/urandom"


def _virtio(device: str, *properties: str) -> list[str]:
    # iommu_platform: dom0 goes through swiotlb-xen, else granted pages of domUs
    # reach the device with the wrong address
    return ["-device", ",".join([device, *properties, "iommu_platform=on"])]


def _boot(description: MachineDescription, files: MachineFiles) -> list[str]:
    dom0 = description.dom0
    xen = [
        f"dom0_mem={dom0.memory_mib}M,max:{dom0.memory_mib}M",
        f"dom0_max_vcpus={dom0.vcpus}",
        "console=dtuart", "dtuart=/pl011@9000000",
        # memory is fresh from the host: scrubbing it costs seconds under TCG
        "bootscrub=0",
        # stay down after a crash, so that the console keeps the reason
        "noreboot",
    ]  # fmt: skip
    kernel = [
        "console=hvc0", "root=/dev/vda", "rw", "init=/sbin/init",
        # the first oops ends the run with a message, not with a half-dead dom0
        "oops=panic", "panic=-1",
        # dom0's speed is the testbed's: no layout randomisation, so no KPTI either
        "nokaslr", "mitigations=off",
        # disks of the null_blk driver are made where they are wanted
        "null_blk.nr_devices=0",
    ]  # fmt: skip
    # guest-loader describes dom0's kernel in the device tree as Xen wants it:
    # no firmware, no boot loader, no device-tree surgery
    loader = ",".join(
        [
            "guest-loader",
            f"addr={_KERNEL_ADDRESS:#x}",
            f"kernel={_escaped(files.kernel)}",
            f"bootargs={' '.join(kernel)}",
        ]
    )
    return ["-kernel", str(files.xen), "-append", " ".join(xen), "-device", loader]


def _consoles(description: MachineDescription, paths: QemuPaths) -> list[str]:
    xen_dom0 = console_file(paths.consoles, "xen-dom0")
    argv = [
        "-chardev", f"file,id=console.xen,path={_escaped(xen_dom0)}",
        "-serial", "chardev:console.xen",
        *_virtio("virtio-serial-device", "id=ports", f"max_ports={_ports(description)}"),
        # read over QMP by ringbuf-read: dom0 never waits for a slow reader
        "-chardev", f"ringbuf,id={STATISTICS_PORT},size={STATISTICS_BYTES}",
        "-device", f"virtserialport,chardev={STATISTICS_PORT},name={STATISTICS_PORT}",
    ]  # fmt: skip
    ports = {f"console.{domain.name}": domain.name for domain in description.domains}
    ports[STORE_LOG_PORT] = "store"
    for name, log in ports.items():
        path = _escaped(console_file(paths.consoles, log))
        argv += ["-chardev", f"file,id={name},path={path}"]
        argv += ["-device", f"virtserialport,chardev={name},name={name}"]
    return argv


def _ports(description: MachineDescription) -> int:
    """Port 0, which is kept for a console; statistics, the store's log, and the domUs' consoles."""
    return max(_LEAST_PORTS, 3 + len(description.domains))


def _network(description: MachineDescription) -> list[str]:
    addresses = [description.dom0.address, *(domain.address for domain in description.domains)]
    # host port 0: the host's kernel picks a free one, and `info usernet` tells which
    forwards = ",".join(f"hostfwd=tcp:127.0.0.1:0-{address}:22" for address in addresses)
    return [
        # restrict: the guests reach nothing outside, neither the host nor the network
        "-netdev", f"user,id=net0,ipv6=off,restrict=on,{forwards}",
        *_virtio("virtio-net-device", "netdev=net0", "mac=52:54:00:12:34:56"),
    ]  # fmt: skip


def _disks(disks: Iterable[Disk]) -> list[str]:
    argv: list[str] = []
    # virtio-mmio devices enumerate in reverse: the last disk is /dev/vda, dom0's root
    for disk in disks:
        node = f"disk.{disk.serial}"
        # cache=unsafe: what is written outlives QEMU at most, never a crash of the host,
        # so a flush may return at once
        cache = "readonly=on" if disk.readonly else "cache=unsafe"
        argv += [
            "-drive",
            f"if=none,id={node},format={disk.format},{cache},file={_escaped(disk.path)}",
            *_virtio("virtio-blk-device", f"drive={node}", f"serial={disk.serial}"),
        ]
    return argv


def _escaped(path: Path) -> str:
    """A path inside QEMU's option syntax, where a comma ends the value."""
    return str(path).replace(",", ",,")
