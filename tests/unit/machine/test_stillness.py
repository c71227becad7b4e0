"""The host's side of a moment that is looked at: what is copied while nothing moves."""

from __future__ import annotations

import contextlib
import subprocess
from types import SimpleNamespace

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.machine import Stillness
from orchestrator.machine import stillness as module
from orchestrator.machine.disks import Disk
from orchestrator.machine.stillness import MEMORY_BASE, dom0_banks, outside
from tests.unit.machine.support import soon

MIB = 1 << 20
IOMEM = """\
09000000-09000fff : pl011@9000000
60000000-7fffffff : System RAM
  60210000-60a0ffff : Kernel code
90000000-97ffffff : System RAM
"""
# what testbed.still does, without domains: says where it is, and waits
HOLDS = """\
mkdir -p {to}/copy && printf 'a\\377b' >{to}/copy/arena && echo '{{}}' >{to}/copy/header
echo '{{"dom0_seconds": 12.5, "stats": {{"table": {{}}}}, "marks": {{"domU1": null}}}}' \
    >{to}/still.new && mv {to}/still.new {to}/still.json
while [ ! -e {to}/go ]; do sleep 0.01; done
echo '{{"paused_seconds": {{"3": 1.25}}, "in_time": {in_time}}}' >{to}/done.new
mv {to}/done.new {to}/done.json
"""


class Qmp:
    def __init__(self):
        self.stands, self.saved = False, []

    @contextlib.contextmanager
    def standing(self, deadline):
        self.stands = True
        yield
        self.stands = False

    def save_memory(self, first, size, path, deadline):
        assert self.stands
        self.saved.append((first, size))
        path.write_bytes(bytes(4096))


@pytest.fixture
def still(ssh, tmp_path, monkeypatch):
    """One domU's; its dom0 is this machine, and its swap disk a real overlay."""
    to, disks, folder = tmp_path / "dom0", tmp_path / "disks", tmp_path / "host"
    disks.mkdir()
    folder.mkdir()
    monkeypatch.setattr(module, "_FOLDER", str(to))
    monkeypatch.setattr(module, "dom0_banks", lambda _: dom0_banks(IOMEM))
    base, overlay = disks / "swap.img", disks / "swap.qcow2"
    base.write_bytes(b"header".ljust(8192, b"\0"))
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "swap.img", overlay],
        check=True,
    )
    machine = SimpleNamespace(
        dom0=SimpleNamespace(ssh=ssh),
        qmp=Qmp(),
        description=SimpleNamespace(memory_mib=2048),
        disk=lambda serial: Disk(serial, overlay, "qcow2", readonly=False),
    )
    found = Stillness(machine, [SimpleNamespace(name="domU1", domid=3)], folder)
    in_time = {"said": "true"}
    found.in_time = in_time
    monkeypatch.setattr(
        Stillness, "_script", lambda self: HOLDS.format(to=to, in_time=in_time["said"])
    )
    return found


def test_everything_is_copied_while_nothing_moves(still):
    held = still.hold(soon())
    assert (held.dom0_seconds, held.paused_seconds) == (12.5, {"domU1": 1.25})
    assert held.marks == {"domU1": None}
    assert still.machine.qmp.saved == [
        (MEMORY_BASE, 0x20000000),
        (0x80000000, 0x10000000),
        (0x98000000, 0x28000000),
    ]
    assert not still.machine.qmp.stands
    assert [path.stat().st_size for path in held.memory] == [4096] * 3
    assert held.disks["domU1"].read_bytes() == b"header".ljust(8192, b"\0")
    assert 0 < held.stopped_seconds < 20
    copies = still.fetch(soon())
    assert (copies / "arena").read_bytes() == b"a\xffb", "bytes, not text"
    assert not (still.folder.parent / "dom0").exists()


def test_memory_is_left_alone_where_nobody_wants_it(still):
    assert still.hold(soon(), memory=False).memory == []
    assert still.machine.qmp.saved == []


def test_domains_that_went_on_too_early_make_it_worthless(still):
    still.in_time["said"] = "false"
    with pytest.raises(InfrastructureError, match="went on before everything"):
        still.hold(soon())


def test_why_dom0_cannot_is_told(still, monkeypatch):
    monkeypatch.setattr(Stillness, "_script", lambda self: "echo no such domain >&2; exit 1")
    with pytest.raises(InfrastructureError, match="cannot hold the domUs still: no such domain"):
        still.hold(soon())


def test_domains_go_on_when_the_host_fails(still, monkeypatch):
    def fail(*_):
        raise InfrastructureError("a full disk")

    monkeypatch.setattr(still.machine.qmp, "save_memory", fail)
    with pytest.raises(InfrastructureError, match="a full disk"):
        still.hold(soon())
    assert (still.folder.parent / "dom0" / "go").exists()


def test_dom0s_memory_is_what_it_lists():
    assert dom0_banks(IOMEM) == [(0x60000000, 0x80000000), (0x90000000, 0x98000000)]
    for hidden in ("", "00000000-00000000 : System RAM\n"):
        with pytest.raises(InfrastructureError, match="does not list its memory"):
            dom0_banks(hidden)


@pytest.mark.parametrize(
    ("banks", "left"),
    [
        ([], [(10, 20)]),
        ([(10, 20)], []),
        ([(0, 30)], []),
        ([(12, 14)], [(10, 12), (14, 20)]),
        ([(16, 25), (5, 12)], [(12, 16)]),
        ([(12, 14), (14, 16)], [(10, 12), (16, 20)]),
        ([(25, 30)], [(10, 20)]),
    ],
)
def test_what_is_outside(banks, left):
    assert outside(banks, (10, 20)) == left
