"""What runs in a domU for a script, run here by sh, beside no toolchain."""

from __future__ import annotations

import hashlib
import subprocess

import pytest

from orchestrator.workloads import KernelCompile, Script, script
from orchestrator.workloads.toolchain_job import parse_digests


@pytest.fixture
def run(tmp_path, monkeypatch):
    def run(text, **fields):
        monkeypatch.setattr(script, "CHROOT", "env -i PATH=/usr/bin:/bin")
        monkeypatch.setattr(script, "JOB", str(tmp_path))
        lines = Script(text, **fields).script("domU1")
        return subprocess.run(["sh", "-c", lines], capture_output=True, text=True, timeout=20)

    return run


def test_what_it_prints_has_a_digest_and_its_time_is_taken(run, tmp_path):
    done = run("echo it\\'s '$HOME'\nprintf '%s\\n' \"one  two\"\necho aside >&2\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert "aside" in done.stderr
    printed = b"it's $HOME\none  two\n"
    digests = parse_digests((tmp_path / "digests").read_text())
    assert digests == {"output": hashlib.sha256(printed).hexdigest()}
    start, end = map(float, (tmp_path / "times").read_text().split())
    assert 0 < start <= end


def test_a_script_that_fails_leaves_no_digests_of_an_earlier_one(run, tmp_path):
    assert run("echo good").returncode == 0
    assert run("echo bad; exit 7").returncode == 7
    assert not (tmp_path / "digests").exists()


def test_a_domain_waits_before_its_time_is_taken():
    waits = Script("true", skew={"domU1": 0.25})
    lines = waits.script("domU1").splitlines()
    assert lines.index("sleep 0.250") < lines.index("read start rest </proc/uptime")
    assert "sleep" not in waits.script("domU2")


def test_a_domain_builds_what_is_its_own():
    build = KernelCompile(["lib/idr.o"], others={"domU2": ["lib/sort.o"]})
    assert "lib/sort.o" not in build.script("domU1")
    assert "lib/idr.o" not in build.script("domU2")
