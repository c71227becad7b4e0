from __future__ import annotations

import pytest

from orchestrator.deadline import Deadline
from orchestrator.debugger.stub import framed, release
from orchestrator.errors import InfrastructureError
from tests.unit.debugger.fakes import FakeStub


def test_a_packet_has_its_checksum():
    assert framed("D;1") == b"$D;1#b0"  # 0x44 + 0x3b + 0x31
    assert framed("?") == b"$?#3f"


def test_breakpoints_go_before_the_machine_goes_on(tmp_path):
    with FakeStub(tmp_path / "gdb") as stub:
        release(stub.path, Deadline.after(5))
    assert stub.packets == ["?", "Qqemu.PhyMemMode:0", "D;1"]
    assert stub.acknowledged == 3


def test_a_machine_that_has_ended_needs_nothing(tmp_path):
    with FakeStub(tmp_path / "gdb") as stub:
        pass
    assert stub.path.exists()  # but nobody listens
    release(stub.path, Deadline.after(5))
    release(tmp_path / "nothing", Deadline.after(5))


def test_a_stub_that_hangs_up_is_reported(tmp_path):
    with (
        FakeStub(tmp_path / "gdb", answers=1) as stub,
        pytest.raises(InfrastructureError, match="closed the connection"),
    ):
        release(stub.path, Deadline.after(5))


def test_a_stub_that_says_nothing_is_waited_for_until_the_deadline(tmp_path):
    with (
        FakeStub(tmp_path / "gdb", silent=True) as stub,
        pytest.raises(InfrastructureError, match="does not answer"),
    ):
        release(stub.path, Deadline.after(0.2))
