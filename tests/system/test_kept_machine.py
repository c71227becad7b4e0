"""A machine that was kept after its boot: others go on from there, and none disturbs the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Artifact, Cache
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.kept import kept_machine, resumed
from orchestrator.machine import DomainDescription, Machine, MachineDescription, address_of
from orchestrator.parts import Parts
from orchestrator.workloads import build_pagegen
from tests.system.pages import Pages

DESCRIPTION = MachineDescription.load().with_domains(
    [DomainDescription(name="domU1", address=address_of(0), memory_mib=64, quota_bytes=32 << 20)]
)


class KeptMachine:
    """What the tests start from."""

    def __init__(self, parts: Parts, folder: Path, cache: Cache) -> None:
        self.parts, self.folder = parts, folder
        self.files = parts.files(DESCRIPTION, folder)
        self.boots = 0
        self.artifact = self.keep()

    def keep(self) -> Artifact:
        return kept_machine(
            self.parts,
            DESCRIPTION,
            self.files,
            start_store=True,
            boot_seconds=180,
            log=self._count,
        )

    def _count(self, line: str) -> None:
        self.boots += "dom0 answers SSH" in line

    @contextmanager
    def resumed(self, name: str) -> Iterator[Machine]:
        run_dir = self.folder / name
        with resumed(
            self.artifact,
            DESCRIPTION,
            self.files,
            run_dir,
            Deadline.after(120),
            consoles=run_dir / "console",
            seeds=None,
            log=print,
        ) as machine:
            yield machine


@pytest.fixture(scope="module")
def machine(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> KeptMachine:
    return KeptMachine(parts, tmp_path_factory.mktemp("kept"), parts.context.cache)


def test_it_is_booted_once_and_found_again(machine: KeptMachine) -> None:
    boots = machine.boots
    assert boots <= 1  # none, if an earlier run of the tests has left it
    assert machine.keep().folder == machine.artifact.folder
    assert machine.boots == boots


def test_each_start_finds_it_as_it_was_left(machine: KeptMachine) -> None:
    drawn = []
    for name in ("first", "second"):
        with machine.resumed(name) as again:
            ssh = again.domains["domU1"].ssh
            deadline = Deadline.after(60)
            assert ssh.run("ls /mnt/scratch/mark", deadline=deadline, check=False).status != 0
            ssh.run("echo here >/mnt/scratch/mark; sync; echo >/run/mark", deadline=deadline)
            drawn.append(ssh.read_file("/proc/sys/kernel/random/uuid", deadline=deadline))
            assert again.store.running()
            assert again.store.control("status", deadline)["connected"] == ["domU1"]
    assert drawn[0] != drawn[1]  # randomness is fresh


def test_pages_go_out_and_come_back_there(machine: KeptMachine) -> None:
    with machine.resumed("pages") as again:
        pages = Pages(again, build_pagegen(machine.parts.context.cache))
        before = pages.counters("domU1")["stores"]
        with pages.held("domU1", 500, "text", seed=5, pageout=True) as (job, held):
            assert held["swapped_kib"] > 4 * 500 * 0.9
            assert pages.counters("domU1")["stores"] - before >= 500 * 0.9
            assert pages.bring_back(job)["mismatches"] == 0
        assert pages.store("verify")["problems"] == []
        # and dom0 can do with its domUs as with any
        again.destroy_domain("domU1", Deadline.after(60))
        again.create_domain("domU1", Deadline.after(180))


def test_the_boots_consoles_are_among_the_runs(machine: KeptMachine) -> None:
    with machine.resumed("consoles"):
        pass
    boot = machine.folder / "consoles/console/boot"
    assert "testbed: domU1 ready" in (boot / "domU1.log").read_text()


def test_one_that_is_not_whole_is_refused(machine: KeptMachine, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    resume = Machine.resume(
        DESCRIPTION, machine.files, tmp_path, Deadline.after(10), snapshot=tmp_path
    )
    with pytest.raises(InfrastructureError, match="not a kept machine"), resume:
        pass
