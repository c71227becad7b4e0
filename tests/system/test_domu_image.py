"""The contract of domU images (``domu_image/interface.py``), held against every builder's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import read_list
from orchestrator.deadline import Deadline, slowness
from orchestrator.machine import (
    DomainDescription,
    DomainHandle,
    Machine,
    MachineDescription,
    address_of,
)
from orchestrator.parts import Parts
from orchestrator.workloads import build_memwatch, build_pagegen
from tests.system.builders import BUILDERS, builder_named
from tests.system.pages import Pages

MIB = 1 << 20
MOST_BYTES = 20 * MIB
BOOT_SECONDS = 30.0
"""From xl create to an answer by SSH, before the slowness factor."""


@dataclass(frozen=True)
class Booted:
    """A machine whose domU1 has the image of a builder."""

    machine: Machine
    parts: Parts
    image: Artifact

    @property
    def domain(self) -> DomainHandle:
        return self.machine.domains["domU1"]

    def run(self, line: str) -> str:
        """What a line of shell in the domU prints; it must not fail."""
        return self.domain.ssh.run(line, deadline=Deadline.after(60)).stdout.strip()


@pytest.fixture(scope="module", params=BUILDERS)
def booted(
    request: pytest.FixtureRequest, parts: Parts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    builder = builder_named(request.param, parts.context)
    image = builder.build(parts.context)
    if image.key == parts.artifacts.domu_image.key:
        yield Booted(request.getfixturevalue("machine"), parts, image)
        return
    ours = replace(parts, artifacts=replace(parts.artifacts, domu_image=image))
    folder = tmp_path_factory.mktemp(request.param)
    one = DomainDescription(
        name="domU1", address=address_of(0), memory_mib=64, quota_bytes=48 * MIB
    )
    description = MachineDescription.load().with_domains([one])
    files = ours.files(description, folder)
    with Machine.boot(description, files, folder, Deadline.after(180), log=print) as machine:
        yield Booted(machine, ours, image)


def test_it_is_small(booted: Booted) -> None:
    assert booted.image.path.stat().st_size <= MOST_BYTES


def test_it_answers_ssh_in_time_and_says_so_on_its_console(booted: Booted) -> None:
    at = booted.machine.timings
    assert at["domU1 answers SSH"] - at["domU1 created"] <= BOOT_SECONDS * slowness()
    assert booted.domain.console.contains("testbed: domU1 ready")


def test_it_has_its_name_and_address(booted: Booted) -> None:
    assert booted.run("hostname") == "domU1"
    assert address_of(0) in booted.run("ip addr show dev eth0")


def test_disks_are_where_workloads_look(booted: Booted) -> None:
    mounts = {
        where: (device, options.split(","))
        for device, where, _, options, *_ in map(
            str.split, booted.run("cat /proc/mounts").splitlines()
        )
    }
    for where in ("/", "/toolchain", "/mnt/workload"):
        assert "ro" in mounts[where][1], where
    assert mounts["/toolchain"][0] == "/dev/xvdb"
    assert mounts["/mnt/workload"][0] == "/dev/xvdc"
    assert mounts["/mnt/scratch"][0] == "/dev/xvdd" and "rw" in mounts["/mnt/scratch"][1]
    assert mounts["/toolchain/work"][0] == "overlay"
    assert "/dev/xvde" in booted.run("cat /proc/swaps")


@pytest.mark.parametrize("folder", ["/tmp", "/run", "/mnt/scratch", "/toolchain/work"])
def test_what_must_be_written_to_can_be(booted: Booted, folder: str) -> None:
    assert booted.run(f"echo written >{folder}/probe && cat {folder}/probe") == "written"


def test_it_has_every_program_that_workloads_call(booted: Booted) -> None:
    wanted = read_list(booted.parts.context.images / "domu" / "applets.txt")
    missing = booted.run(
        "for name in " + " ".join(f"'{name}'" for name in wanted) + "; do "
        'command -v "$name" >/dev/null || echo "$name"; done'
    )
    assert missing.split() == []


def test_the_toolchain_compiles(booted: Booted) -> None:
    line = (
        "echo 'int one(void) { return 1; }' >/toolchain/work/one.c && "
        "chroot /toolchain gcc -c -o /work/one.o /work/one.c && "
        "od -A n -t x1 -N 4 /toolchain/work/one.o"
    )
    assert booted.run(line).split() == ["7f", "45", "4c", "46"]


def test_statistics_can_be_collected(booted: Booted) -> None:
    ssh, deadline = booted.domain.ssh, Deadline.after(60)
    program = build_memwatch(booted.parts.context.cache)
    ssh.write_file("/tmp/memwatch", program.read_bytes(), mode=0o755, deadline=deadline)
    said = booted.run(
        "touch /tmp/end; /tmp/memwatch --interval-ms 100 --until /tmp/end vm=/proc/vmstat"
    )
    assert "pswpout" in said
    assert booted.run("ls /sys/kernel/debug/pageshare").split()


def test_pages_go_to_the_store_and_come_back(booted: Booted) -> None:
    pages = Pages(booted.machine, build_pagegen(booted.parts.context.cache))
    with pages.held("domU1", 500, "text", seed=3, pageout=True) as (job, held):
        assert held["swapped_kib"] > 4 * 500 * 0.9
        assert pages.bring_back(job)["mismatches"] == 0


def test_it_shuts_down_cleanly(booted: Booted) -> None:
    deadline = Deadline.after(60)
    booted.run("echo kept >/mnt/scratch/kept && sync")
    dom0 = booted.machine.dom0.ssh
    dom0.run(["xl", "shutdown", "-w", "domU1"], deadline=deadline)
    text = booted.domain.console.text()
    assert "reboot: Power down" in text
    assert booted.domain.console.panic() is None
    while "domU1" in dom0.run(["xl", "list"], deadline=deadline).stdout:
        assert not deadline.expired, "the domain is still there"
        time.sleep(0.5)
    again = booted.machine.create_domain("domU1", Deadline.after(120))
    said = again.ssh.run("cat /mnt/scratch/kept", deadline=Deadline.after(60)).stdout
    assert said.strip() == "kept"
