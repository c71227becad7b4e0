from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    MachineFiles,
    SwapDevice,
    address_of,
)
from orchestrator.machine.disks import Disk
from orchestrator.machine.qemu import STATISTICS_BYTES, QemuPaths, qemu_argv

FILES = MachineFiles(
    xen=Path("/a/xen"),
    kernel=Path("/a/Image"),
    dom0_image=Path("/a/dom0"),
    domu_image=Path("/a/domu"),
    toolchain=Path("/a/toolchain"),
    workload=Path("/a/workload"),
    payload=Path("/a/payload"),
    ssh_key=Path("/a/key"),
)
PATHS = QemuPaths(Path("/p/qmp"), Path("/p/gdb"), Path("/r/console"))
DISKS = [
    Disk("payload", Path("/a/payload"), "raw", readonly=True),
    Disk("dom0-root", Path("/r/dom0,1.qcow2"), "qcow2", readonly=False),
]


@pytest.fixture
def argv() -> list[str]:
    return qemu_argv(MachineDescription.load(), FILES, DISKS, PATHS)


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(argv) if name == option]


def test_every_forwarded_port_is_on_the_loopback_and_chosen_by_the_host(argv):
    (network,) = values(argv, "-netdev")
    forwards = [part for part in network.split(",") if part.startswith("hostfwd=")]
    assert len(forwards) == 3
    assert all(part.startswith("hostfwd=tcp:127.0.0.1:0-10.0.2.") for part in forwards)
    assert "restrict=on" in network


def test_debuggers_come_by_a_unix_socket_and_nobody_waits_for_them(argv):
    assert values(argv, "-gdb") == ["unix:/p/gdb,server=on,wait=off"]


def test_the_dom0_root_is_the_last_device(argv):
    disks = [value for value in values(argv, "-device") if value.startswith("virtio-blk")]
    assert "serial=dom0-root" in disks[-1]
    assert values(argv, "-device")[-1] == disks[-1]


def test_every_virtio_device_but_the_balloon_goes_through_the_iommu(argv):
    devices = [value for value in values(argv, "-device") if value.startswith("virtio-")]
    without = [value.split(",")[0] for value in devices if "iommu_platform=on" not in value]
    assert without == ["virtio-balloon-device"]


def test_every_domain_has_a_console_file(argv):
    files = [value for value in values(argv, "-chardev") if value.startswith("file,")]
    assert [value.rsplit("/", 1)[1] for value in files] == [
        "xen-dom0.log",
        "domU1.log",
        "domU2.log",
        "store.log",
    ]


def test_the_ring_buffer_is_a_power_of_two(argv):
    assert STATISTICS_BYTES & (STATISTICS_BYTES - 1) == 0
    assert f"ringbuf,id=pageshare.stats,size={STATISTICS_BYTES}" in values(argv, "-chardev")


def test_a_comma_in_a_path_is_escaped(argv):
    assert any("file=/r/dom0,,1.qcow2" in drive for drive in values(argv, "-drive"))


def test_what_is_only_read_is_read_only(argv):
    drives = values(argv, "-drive")
    assert "readonly=on" in drives[0]
    assert "readonly" not in drives[-1]


def test_a_serial_that_virtio_would_cut_off_is_refused():
    with pytest.raises(ValueError, match="longer than 20"):
        Disk("x" * 21, Path("/d"), "raw", readonly=True)


@pytest.fixture
def many() -> list[str]:
    """The command of a machine with eight domUs of 512 MiB."""
    domains = [
        DomainDescription(
            name=f"domU{n + 1}", address=address_of(n), memory_mib=512, quota_bytes=16 << 20
        )
        for n in range(8)
    ]
    machine = MachineDescription.load().with_domains(domains)
    disks = [
        *(Disk(f"scratch.{one.name}", Path(f"/r/{one.name}"), "raw", False) for one in domains),
        *DISKS,
    ]
    return qemu_argv(machine, FILES, disks, PATHS)


def test_eight_domains_have_a_console_and_a_port_each(many):
    names = [f"domU{n + 1}" for n in range(8)]
    files = [value for value in values(many, "-chardev") if value.startswith("file,")]
    assert [value.rsplit("/", 1)[1] for value in files] == [
        "xen-dom0.log",
        *(f"{name}.log" for name in names),
        "store.log",
    ]
    devices = values(many, "-device")
    ports = [value for value in devices if value.startswith("virtserialport")]
    assert len(ports) == len(set(ports)) == 10
    (serial,) = (value for value in devices if value.startswith("virtio-serial-device"))
    (room,) = (part for part in serial.split(",") if part.startswith("max_ports="))
    # port 0 is a console's
    assert int(room.removeprefix("max_ports=")) > len(ports)
    (network,) = values(many, "-netdev")
    assert network.count("hostfwd=tcp:127.0.0.1:0-10.0.2.") == 9
    assert len([value for value in devices if "serial=scratch.domU" in value]) == 8


def test_there_are_as_many_ports_as_the_domains_need():
    domains = [
        DomainDescription(
            name=f"d{n}", address=address_of(n), quota_bytes=0, swap_device=SwapDevice(kind="none")
        )
        for n in range(15)
    ]
    machine = MachineDescription.load().with_domains(domains)
    argv = qemu_argv(machine, FILES, DISKS, PATHS)
    devices = values(argv, "-device")
    assert len([one for one in devices if one.startswith("virtserialport")]) == 17
    assert any(one.startswith("virtio-serial-device") and "max_ports=18" in one for one in devices)


def test_qemus_memory_is_the_machines(argv, many):
    assert values(argv, "-m") == ["2048M"]
    assert values(many, "-m") == ["4864M"]


def test_a_counted_clock_has_one_cpu_and_no_input_from_outside():
    machine = MachineDescription.load().with_timing("icount", 7)
    argv = qemu_argv(machine, FILES, DISKS, PATHS)
    assert values(argv, "-smp") == ["1"]
    assert values(argv, "-icount") == ["shift=1,sleep=off"]
    assert "thread=single" in values(argv, "-accel")[0]
    assert values(argv, "-seed") == ["7"]
    assert values(argv, "-rtc")[0].endswith("clock=vm")
    assert not any("urandom" in word for word in argv)


def test_the_hosts_clock_takes_what_the_host_has(argv):
    assert values(argv, "-icount") == values(argv, "-seed") == []
    assert "thread=multi" in values(argv, "-accel")[0]
