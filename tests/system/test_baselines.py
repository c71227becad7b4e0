"""Other ways to swap, on the real machine: pages come back, and the kernels tell what they take."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orchestrator.deadline import Deadline
from orchestrator.machine import (
    DomainDescription,
    Machine,
    MachineDescription,
    SwapDevice,
    address_of,
)
from orchestrator.machine.swap_device import swap_disk
from orchestrator.metrics.swap_peak import decompose_swap, find_swap_peak
from orchestrator.parts import Parts
from orchestrator.workloads import (
    DomainSwap,
    MemoryWatch,
    PageStream,
    build_memwatch,
    build_pagegen,
    swapped_pages,
)
from tests.system.pages import Pages

NUMBER = 1500
SLOW_US = 8000
NOT_OURS = ("xen-pageshare.enabled=0",)


def domain(index: int, name: str, **options: object) -> DomainDescription:
    return DomainDescription(
        name=name,
        address=address_of(index),
        memory_mib=64,
        quota_bytes=0,
        swap_mib=64,
        kernel_arguments=NOT_OURS,
        **options,  # type: ignore[arg-type]
    )


DOMAINS = [
    domain(0, "own"),
    domain(1, "dom0zram", swap_device=SwapDevice(kind="zram", compressor="zstd", limit_mib=32)),
    domain(
        2,
        "slow",
        swap_device=SwapDevice(kind="slow-disk", latency_us=SLOW_US, mebibytes_per_second=100),
    ),
    domain(3, "none", swap_device=SwapDevice(kind="none")),
]


@pytest.fixture(scope="module")
def machine(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    run_dir = tmp_path_factory.mktemp("baselines")
    description = MachineDescription.load().with_domains(DOMAINS)
    files = parts.files(description, run_dir)
    boot = Machine.boot(
        description, files, run_dir, Deadline.after(180), start_store=False, log=print
    )
    with boot as machine:
        yield machine


def wait_until_written(machine: Machine, name: str) -> None:
    """What goes to a disk is on its way for a while, and here some longer for the watch."""
    deadline = Deadline.after(120)
    line = f"cat /sys/block/$(basename $(readlink {swap_disk(name)}))/mm_stat"
    while int(machine.dom0.ssh.run(line, deadline=deadline).stdout.split()[0]) < 4096 * NUMBER:
        assert not deadline.expired, "dom0's zram never had all pages"
        time.sleep(0.3)
    time.sleep(1)


@pytest.mark.parametrize("name", ["own", "dom0zram"])
def test_compressed_pages_are_told_by_the_kernel_that_keeps_them(
    machine: Machine, parts: Parts, name: str
) -> None:
    handle, in_dom0 = machine.domains[name], name == "dom0zram"
    pages = Pages(machine, build_pagegen(parts.context.cache))
    DomainSwap("dom0-zram" if in_dom0 else "zram", "zstd").set_up(handle, 64, Deadline.after(60))
    watch = MemoryWatch(build_memwatch(parts.context.cache), "v", 200, in_dom0=in_dom0)
    before = swapped_pages(handle, Deadline.after(60))
    with (
        watch.watching(machine, [handle], Deadline.after(60)),
        pages.held(name, NUMBER, "text", seed=11, pageout=True) as (job, held),
    ):
        assert held["swapped_kib"] > 4 * NUMBER * 0.9
        if in_dom0:
            wait_until_written(machine, name)
        assert pages.bring_back(job)["mismatches"] == 0
    counted = swapped_pages(handle, Deadline.after(60)).since(before)
    assert counted.out >= NUMBER * 0.9
    if not in_dom0:  # what goes to a disk stays in the swap cache until its memory is needed
        assert counted.back >= NUMBER * 0.9

    peak = find_swap_peak(watch.samples)
    assert peak is not None
    assert peak.logical_pages >= NUMBER * 0.9
    parts_of = decompose_swap(peak)
    spent = parts_of.store_footprint_bytes if in_dom0 else parts_of.frontend_bytes
    assert spent is not None
    assert parts_of.payload_bytes is not None
    assert 0 < parts_of.payload_bytes < spent < parts_of.logical_bytes
    elsewhere = parts_of.frontend_bytes if in_dom0 else parts_of.store_footprint_bytes
    assert elsewhere == 0


def test_a_slow_disk_takes_its_time_on_the_guests_clock(machine: Machine, parts: Parts) -> None:
    stream = PageStream(
        program=build_pagegen(parts.context.cache),
        pages=200,
        mix={"text": 1},
        rounds=1,
        seed=3,
        swap=DomainSwap("disk"),
    )
    figures = stream.run(machine.domains["slow"], 64, Deadline.after(240))
    assert figures.mismatches == 0
    assert figures.in_pages >= 100
    assert figures.in_median_microseconds is not None
    assert figures.in_median_microseconds >= SLOW_US


def test_a_domain_without_swap_has_none(machine: Machine) -> None:
    ssh = machine.domains["none"].ssh
    swaps = ssh.read_file("/proc/swaps", deadline=Deadline.after(60)).splitlines()
    assert len(swaps) == 1
    assert swapped_pages(machine.domains["none"], Deadline.after(60)).out == 0
