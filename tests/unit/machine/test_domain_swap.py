"""How a domU is made to swap, what was counted there, and what was watched meanwhile."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine import DomainDescription, SwapDevice, address_of
from orchestrator.machine.swap_device import swap_device_script
from orchestrator.workloads import DomainSwap, MemoryWatch, PageCounts, memory_watch
from orchestrator.workloads.domain_swap import page_counts
from tests.unit.machine.support import soon

SOURCE = Path(__file__).resolve().parents[3] / "testbed/memwatch/memwatch.c"


class Recorder:
    """A domU that does nothing but remember."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ssh = self

    def run(self, command, *, deadline):
        self.said.append(command)


@pytest.mark.parametrize("kind", ["zram", "dom0-zram"])
def test_the_swap_disk_of_boot_is_replaced(kind):
    domain = Recorder()
    DomainSwap(kind, "zstd").set_up(domain, 64, soon())  # type: ignore[arg-type]
    (script,) = domain.said
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert script.index("swapoff /dev/xvde") < script.index("swapon")
    assert ("zstd" in script) == (kind == "zram")


@pytest.mark.parametrize("kind", ["pageshare", "zswap", "disk", "none"])
def test_others_are_ready_when_they_have_booted(kind):
    domain = Recorder()
    DomainSwap(kind).set_up(domain, 64, soon())  # type: ignore[arg-type]
    assert domain.said == []


def device_script(**device):
    return swap_device_script(
        DomainDescription(
            name="domU1", address=address_of(0), swap_mib=96, swap_device=SwapDevice(**device)
        )
    )


def test_dom0_makes_only_what_is_not_a_disk():
    assert device_script() is None
    assert device_script(kind="none") is None


def test_dom0_makes_compressed_and_slow_disks():
    zram = device_script(kind="zram", compressor="zstd", limit_mib=12)
    slow = device_script(kind="slow-disk", latency_us=250, mebibytes_per_second=40)
    for script in (zram, slow):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
        assert "/dev/disk/testbed/swap.domU1" in script
    assert "echo 12M >$zram/mem_limit" in zram
    assert "echo 96M >$zram/disksize" in zram
    assert "echo 250000 >$null/completion_nsec" in slow
    assert "echo 96 >$null/size" in slow
    # null_blk names a disk as its folder is named: never as something else in /dev
    assert "/nullb/swap-domU1\n" in slow
    assert "mkswap /dev/swap-domU1" in slow


def test_pages_are_counted_wherever_they_went():
    said = "nr_free_pages 77\npswpin 1\npswpout 20\nzswpin 300\nzswpout 4000\n"
    assert page_counts(said) == PageCounts(out=4020, back=301)
    ours = "stores 50000\nstores_same_filled 600000\nloads 7\nloads_same_filled 80\n"
    assert page_counts(said + ours) == PageCounts(out=654_020, back=388)
    assert PageCounts(10, 5).since(PageCounts(4, 5)) == PageCounts(6, 0)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    program = tmp_path_factory.mktemp("memwatch") / "memwatch"
    subprocess.run(["gcc", "-O1", "-o", program, SOURCE], check=True)
    return program


@pytest.fixture
def watched(ssh, tmp_path, monkeypatch):
    """A domU and a dom0 that are this machine, with files of zram in a folder."""
    folders = {"domU": f"{tmp_path}/domU", "dom0": f"{tmp_path}/dom0"}
    monkeypatch.setattr(memory_watch, "_FOLDERS", folders)
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n/dev/xvde partition 9 400 -2\n")
    monkeypatch.setattr(memory_watch, "_IN_DOMU", {"swaps": str(swaps), "pool": "/nowhere"})
    domain = SimpleNamespace(name="domU1", ssh=ssh)
    machine = SimpleNamespace(dom0=SimpleNamespace(ssh=ssh))
    return SimpleNamespace(domain=domain, machine=machine, swaps=swaps)


def test_a_watch_sees_what_changes(watched, program):
    watch = MemoryWatch(program, "some", interval_ms=50)
    with watch.watching(watched.machine, [watched.domain], soon()):
        time.sleep(0.3)
        # at once, as the kernel's own file: a file that is written anew is empty for a moment
        fresh = watched.swaps.with_suffix(".new")
        fresh.write_text(watched.swaps.read_text().replace("400", "4000"))
        fresh.replace(watched.swaps)
        time.sleep(0.3)
    seen = [sample.slots_used_pages for sample in watch.samples]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (100, 1000)
    seconds = [sample.seconds for sample in watch.samples]
    assert seconds == sorted(seconds)
    assert {(one.variant, one.domain, one.place) for one in watch.samples} == {
        ("some", "domU1", "domU")
    }


def test_what_was_seen_is_kept_however_it_ends(watched, program):
    watch = MemoryWatch(program, "some", interval_ms=50)
    with (
        pytest.raises(ZeroDivisionError),
        watch.watching(watched.machine, [watched.domain], soon()),
    ):
        raise ZeroDivisionError
    assert watch.samples


def test_each_domains_disk_in_dom0_is_its_own(watched, program, tmp_path, monkeypatch):
    zram = tmp_path / "zram"
    zram.mkdir()
    (zram / "mm_stat").write_text("40960 9000 12288 0 0 3 0 0 0\n")
    (zram / "disksize").write_text("1048576\n")
    files = {f"domU1.{name}": f"{zram}/{name}" for name in ("mm_stat", "disksize")}
    monkeypatch.setattr(memory_watch, "_zram_files", lambda *_: files)
    watch = MemoryWatch(program, "some", interval_ms=50, in_dom0=True)
    with watch.watching(watched.machine, [watched.domain], soon()):
        time.sleep(0.1)
    kept = [one for one in watch.samples if one.place == "dom0"]
    assert {(one.domain, one.kept_pages, one.payload_bytes) for one in kept} == {
        ("domU1", 10, 9000)
    }


def test_a_watch_that_cannot_run_is_an_error(watched, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no >&2\nexit 3\n")
    watch = MemoryWatch(broken, "some", interval_ms=50)
    with (
        pytest.raises(InfrastructureError, match="memwatch ended with status 3: no"),
        watch.watching(watched.machine, [watched.domain], soon()),
    ):
        pass
