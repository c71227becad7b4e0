"""Other ways to swap, on the real machine: pages come back, and the kernels tell what they take."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orchestrator.deadline import Deadline
from orchestrator.experiment import Swap
from orchestrator.machine import (
    DOM0,
    CpuTime,
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
    SetPlan,
    WorkingSet,
    build_host_pagegen,
    build_memwatch,
    build_pagegen,
    expected_digests,
    swapped_pages,
)
from tests.system.pages import Pages

NUMBER = 1500
SLOW_US = 8000
COMPRESSED: dict[str, Swap] = {"own": "zram", "dom0zram": "dom0-zram"}
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


@pytest.fixture(scope="module")
def compressed(machine: Machine) -> Machine:
    """The machine, with zram in place of the swap disks of two domUs."""
    for name, kind in COMPRESSED.items():
        DomainSwap(kind, "zstd").set_up(machine.domains[name], 64, Deadline.after(60))
    return machine


def wait_until_written(machine: Machine, name: str) -> None:
    """What goes to a disk is on its way for a while, and here some longer for the watch."""
    deadline = Deadline.after(120)
    line = f"cat /sys/block/$(basename $(readlink {swap_disk(name)}))/mm_stat"
    while int(machine.dom0.ssh.run(line, deadline=deadline).stdout.split()[0]) < 4096 * NUMBER:
        assert not deadline.expired, "dom0's zram never had all pages"
        time.sleep(0.3)
    time.sleep(1)


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_pages_are_told_by_the_kernel_that_keeps_them(
    compressed: Machine, parts: Parts, name: str
) -> None:
    machine, in_dom0 = compressed, name == "dom0zram"
    handle = machine.domains[name]
    pages = Pages(machine, build_pagegen(parts.context.cache))
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


def test_a_working_set_larger_than_its_memory_is_read_right(
    compressed: Machine, parts: Parts
) -> None:
    cache = parts.context.cache
    domains = [compressed.domains[name] for name in COMPRESSED]
    plan = SetPlan(
        pages=12000,
        shares={"zero": 1, "equal": 3, "similar": 2, "text": 3, "random": 1},
        rounds=1,
        rewrite=0.3,
        seed=5,
    )
    cpu = CpuTime(compressed, pytest.fail)
    numbers = {one.name: number for number, one in enumerate(domains)}
    workload = WorkingSet(build_pagegen(cache), plan, numbers, timed=cpu.measuring)
    before = {one.name: swapped_pages(one, Deadline.after(60)) for one in domains}
    results = workload.run(compressed, domains, Deadline.after(400))
    program = build_host_pagegen(cache)
    for one in domains:
        result = results[one.name]
        assert result.digests == expected_digests(program, plan, numbers[one.name])
        pages = swapped_pages(one, Deadline.after(60)).since(before[one.name])
        assert min(pages.out, pages.back) > 1000
        # one CPU, and half a second until its end is noticed
        assert 1 < cpu.seconds[one.name] < result.wall_seconds + 5
    # what does nothing but wait computes little
    assert cpu.seconds.keys() == {DOM0, *compressed.domains}
    assert cpu.seconds["none"] < min(cpu.seconds[one.name] for one in domains) / 2
    assert cpu.seconds[DOM0] > 0


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
