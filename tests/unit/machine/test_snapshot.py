"""What is kept of a machine beside QEMU's own state, and where its disks are found again."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from orchestrator import kept
from orchestrator.errors import InfrastructureError
from orchestrator.machine import MachineDescription
from orchestrator.machine.disks import Disk, overlay_disks
from orchestrator.machine.qemu import QemuMemory, QemuPaths, qemu_argv
from orchestrator.machine.snapshot import Snapshot
from tests.unit.machine.test_qemu import FILES, values


@pytest.fixture
def folder(tmp_path):
    """A snapshot with one disk inside and one outside."""
    folder = tmp_path / "building"
    (folder / "disks").mkdir(parents=True)
    (folder / "disks/swap.img").write_bytes(bytes(1 << 20))
    (tmp_path / "artifact.ext4").write_bytes(bytes(4096))
    disks = [
        Disk("root", tmp_path / "artifact.ext4", "raw", readonly=True),
        Disk("swap.domU1", folder / "disks/swap.img", "raw", readonly=False),
    ]
    Snapshot(folder).write(disks, {"domU1": 3}, store=True)
    return folder


def test_a_snapshot_may_be_moved(folder, tmp_path):
    moved = folder.rename(tmp_path / "final")
    kept_machine, disks = Snapshot(moved).read()
    assert (kept_machine.domids, kept_machine.store) == ({"domU1": 3}, True)
    assert [disk.path for disk in disks] == [
        tmp_path / "artifact.ext4",
        moved / "disks/swap.img",
    ]


def test_a_disk_that_is_gone_is_named(folder, tmp_path):
    (tmp_path / "artifact.ext4").unlink()
    with pytest.raises(InfrastructureError, match=r"artifact\.ext4 is gone"):
        Snapshot(folder).read()


@pytest.mark.parametrize("text", ["", "{}", '{"disks": 1}'])
def test_what_is_no_snapshot_is_refused(tmp_path, text):
    (tmp_path / "kept.json").write_text(text)
    with pytest.raises(InfrastructureError, match="not a kept machine"):
        Snapshot(tmp_path).read()


def test_what_is_written_goes_to_overlays(folder, tmp_path):
    _, disks = Snapshot(folder).read()
    (tmp_path / "run").mkdir()
    root, swap = overlay_disks(disks, tmp_path / "run")
    assert root == disks[0]
    assert (swap.serial, swap.format, swap.readonly) == ("swap.domU1", "qcow2", False)
    said = subprocess.run(
        ["qemu-img", "info", "--output=json", swap.path], capture_output=True, check=True
    )
    assert json.loads(said.stdout)["full-backing-filename"] == str(folder / "disks/swap.img")


def argv_of(memory, **how):
    paths = QemuPaths(FILES.payload, FILES.payload, FILES.payload)
    return qemu_argv(MachineDescription.load(), FILES, [], paths, memory, **how)


def test_a_machine_that_goes_on_maps_its_memory_for_itself(tmp_path):
    argv = argv_of(QemuMemory(tmp_path / "ram", shared=False), resumes=True)
    (memory,) = [value for value in values(argv, "-object") if value.startswith("memory")]
    assert f"mem-path={tmp_path}/ram,share=off" in memory
    assert values(argv, "-incoming") == ["defer"]
    assert "memory-backend=ram" in values(argv, "-machine")[0]


def test_one_that_is_to_be_kept_shares_it(tmp_path):
    argv = argv_of(QemuMemory(tmp_path / "ram", shared=True))
    assert any("share=on" in value for value in values(argv, "-object"))
    assert "-incoming" not in argv


def test_another_one_has_no_file_for_it():
    argv = argv_of(None)
    assert not any(value.startswith("memory") for value in values(argv, "-object"))


def test_those_that_nobody_used_for_longest_go(tmp_path):
    for number in range(kept.KEPT + 3):
        used = tmp_path / str(number) / "used"
        used.parent.mkdir()
        used.touch()
        os.utime(used, (number, number))
    kept._prune(tmp_path, spare=tmp_path / "1")
    left = {int(one.name) for one in tmp_path.iterdir()}
    assert left == {1, *range(4, kept.KEPT + 3)}
