"""A script runs in the toolchain's chroot of several domUs at once."""

from __future__ import annotations

import hashlib

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DomainHandle, Machine
from orchestrator.workloads import Script


@pytest.fixture
def domains(machine: Machine) -> list[DomainHandle]:
    return [machine.domains[name] for name in ("domU1", "domU2")]


def test_what_a_script_prints_is_the_same_in_every_domain(
    machine: Machine, domains: list[DomainHandle]
) -> None:
    script = Script("""cd /work/linux && perl -ne 'print "$.\\n" if eof' COPYING && sleep 1""")
    results = script.run(machine, domains, Deadline.after(300))
    assert set(results) == {"domU1", "domU2"}
    lines = domains[0].ssh.run("wc -l </toolchain/work/linux/COPYING", deadline=Deadline.after(60))
    expected = hashlib.sha256(lines.stdout.strip().encode() + b"\n").hexdigest()
    for result in results.values():
        assert result.digests == {"output": expected}
        assert result.guest_seconds >= 1


def test_a_script_that_fails_says_what_it_said(
    machine: Machine, domains: list[DomainHandle]
) -> None:
    with pytest.raises(WorkloadFailed, match=r"the script ended with status 3(.|\n)*out of luck"):
        Script("echo out of luck >&2; exit 3").run(machine, domains, Deadline.after(300))
