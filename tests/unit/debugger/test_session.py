from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock

from orchestrator.debugger import session
from orchestrator.debugger.session import Symbols, debug, find_symbols, gdb_argv, need_gdb
from orchestrator.errors import UserError
from orchestrator.machine.endpoints import Endpoints
from tests.unit.debugger.fakes import FakeStub

XEN = Symbols(xen=Path("/a/xen-syms"), kernel=None)


def machine(stub: Path | None) -> Endpoints:
    images = {"xen": Path("/a/xen"), "dom0": Path("/a/Image")}
    return Endpoints(qemu_pid=os.getpid(), ssh={}, gdb=stub, images=images)


@pytest.fixture
def gdb(tmp_path, monkeypatch):
    """Make a shell script the gdb that is found."""

    def make(script: str) -> None:
        program = tmp_path / "bin" / session.GDB
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return make


def test_without_gdb_one_line_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("orchestrator.preflight.search_path", lambda: str(tmp_path))
    with pytest.raises(UserError, match="apt-get install gdb-multiarch"):
        need_gdb()


def test_gdb_is_connected_before_it_does_what_the_user_wants():
    argv = gdb_argv(Path("/p/gdb"), XEN, ["-batch", "-ex", "bt"])
    assert argv[0] == "gdb-multiarch"
    assert argv.index("target remote /p/gdb") < argv.index("bt")
    assert argv[-3:] == ["-batch", "-ex", "bt"]
    assert "/a/xen-syms" in argv


def test_a_domain_s_kernel_comes_with_xen_s_symbols_beside_it():
    argv = gdb_argv(Path("/p/gdb"), Symbols(Path("/a/xen-syms"), Path("/a/vmlinux")), [])
    assert "/a/vmlinux" in argv
    assert "add-symbol-file /a/xen-syms" in argv
    assert "/a/xen-syms" not in argv


def test_what_there_is_not_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match="domU7: nothing to debug; there are xen, dom0"):
        find_symbols(None, machine(tmp_path / "gdb"), "domU7")
    with pytest.raises(UserError, match="no gdb stub"):
        find_symbols(None, machine(None), "xen")


def test_gdb_s_status_is_ours_and_the_machine_goes_on(gdb, tmp_path):
    gdb('test "$TESTBED_TARGET" = xen && test -n "$TESTBED_ENDPOINTS" && exit 7')
    with FakeStub(tmp_path / "gdb") as stub:
        assert debug(machine(stub.path), tmp_path / "machine.json", "xen", XEN, []) == 7
    assert stub.packets[-1] == "D;1"


def test_a_gdb_that_is_killed_leaves_the_machine_running(gdb, tmp_path):
    gdb("kill -KILL $$")
    with FakeStub(tmp_path / "gdb") as stub:
        status = debug(machine(stub.path), tmp_path / "machine.json", "xen", XEN, [])
    assert status == -signal.SIGKILL
    assert stub.packets[-1] == "D;1"


def test_an_interrupt_is_gdb_s_alone(gdb, tmp_path):
    # both are signalled, as the terminal does; a shell that inherited an ignored
    # SIGINT could not set the trap
    gdb("trap 'exit 9' INT; kill -INT $PPID; kill -INT $$; sleep 1; exit 1")
    before = signal.getsignal(signal.SIGINT)
    with FakeStub(tmp_path / "gdb") as stub:
        assert debug(machine(stub.path), tmp_path / "machine.json", "xen", XEN, []) == 9
    assert signal.getsignal(signal.SIGINT) is before


def test_two_at_once_are_one_too_many(gdb, tmp_path):
    gdb("exit 0")
    with (
        FileLock(tmp_path / "gdb.lock"),
        pytest.raises(UserError, match="somebody debugs this machine already"),
    ):
        debug(machine(tmp_path / "gdb"), tmp_path / "machine.json", "xen", XEN, [])
