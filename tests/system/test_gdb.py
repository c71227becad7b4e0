"""``testbed gdb`` on the session's machine, which has to go on as if nothing had been."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.deadline import Deadline
from orchestrator.debugger.session import GDB
from orchestrator.machine import Machine
from orchestrator.preflight import missing_programs

pytestmark = pytest.mark.skipif(
    bool(missing_programs([GDB])), reason=f"{GDB} is not installed: apt-get install {GDB}"
)

Gdb = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gdb(machine: Machine, run_dir: Path) -> Iterator[Gdb]:
    """Run gdb's commands, as a user would; afterwards every guest must answer."""

    def run(name: str, *commands: str) -> subprocess.CompletedProcess[str]:
        testbed = Path(sys.executable).with_name("testbed")
        argv = [str(testbed), "gdb", name, "--results", str(run_dir.parent), "--", "-batch"]
        argv += [word for command in commands for word in ("-ex", command)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        print(done.stdout, done.stderr)
        return done

    yield run
    deadline = Deadline.after(60)
    for ssh in (machine.dom0.ssh, *(domain.ssh for domain in machine.domains.values())):
        ssh.run("sleep 0.1", deadline=deadline)
    assert machine.store.control("status", deadline)["connected"]
    machine.check_all()


def test_xen_is_seen_with_its_symbols(gdb: Gdb) -> None:
    done = gdb("xen", "info address virt_timer_expired", "info threads", "bt")
    assert done.returncode == 0
    assert 'Symbol "virt_timer_expired" is at 0x' in done.stdout
    assert "CPU#0" in done.stdout
    assert "CPU#1" in done.stdout
    assert "CPU 1  EL" in done.stdout  # testbed-where, at the beginning


def test_a_breakpoint_in_xen_stops_for_one_domain(gdb: Gdb) -> None:
    function = "leave_hypervisor_to_guest"
    for domain in ("dom0", "domU2"):
        done = gdb(
            "xen",
            f"testbed-break {domain} {function}",
            "continue",
            "info symbol $pc",
            "testbed-where",
        )
        # a breakpoint lies behind the function's first instructions
        assert re.search(rf"^{function}( \+ \d+)? in section \.text$", done.stdout, re.MULTILINE)
        assert f"EL2  Xen ({domain} vCPU 0)" in done.stdout.split("in section .text")[1]


@pytest.mark.parametrize("domain", ["dom0", "domU1"])
def test_a_domain_s_kernel_is_seen_from_inside(gdb: Gdb, domain: str) -> None:
    done = gdb(domain, "testbed-enter", "testbed-where", "x/s &linux_banner")
    assert f"EL1  {domain} vCPU 0" in done.stdout
    assert 'linux_banner>:\t"Linux version 6.1' in done.stdout


def test_a_gdb_that_is_killed_leaves_nothing_behind(gdb: Gdb) -> None:
    killed = "python import os; os.kill(os.getpid(), 9)"
    done = gdb("xen", "break leave_hypervisor_to_guest", "continue", killed)
    assert "hit Breakpoint" in done.stdout
    assert done.returncode not in (0, 2, 3)


def test_what_would_end_the_machine_is_refused(gdb: Gdb) -> None:
    done = gdb("xen", "kill", "run")
    assert done.stderr.count("Would end the machine") == 2


def test_what_there_is_not_is_one_line(gdb: Gdb) -> None:
    done = gdb("domU7")
    assert done.returncode == 2
    assert "domU7: nothing to debug; there are xen, dom0, domU1" in done.stderr
