"""A compile that is interrupted goes on in its own folder with what is not there yet."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.deadline import Deadline
from orchestrator.results import read_run
from orchestrator.workloads import CHECKPOINT_SECONDS

EXPERIMENT = Path(__file__).parent / "resume.toml"
COMMAND = [sys.executable, "-c", "from orchestrator.cli import main; main()", "run"]


def start(results: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, EXPERIMENT, "--results", results], stdout=subprocess.PIPE, text=True
    )


def events(results: Path) -> list[str]:
    return [json.loads(line)["event"] for path in results.glob("2*/events.jsonl")
            for line in path.open()]  # fmt: skip


@pytest.mark.full
def test_an_interrupted_compile_goes_on(tmp_path: Path) -> None:
    with start(tmp_path) as first:
        deadline = Deadline.after(1800)
        while "booted" not in events(tmp_path):
            assert first.poll() is None and not deadline.expired
            time.sleep(1)
        time.sleep(1.9 * CHECKPOINT_SECONDS)  # a sync under pressure takes its time
        first.send_signal(signal.SIGTERM)
        said, _ = first.communicate(timeout=120)
    assert first.returncode != 0
    assert "goes on with" in said
    (run,) = tmp_path.glob("2*")
    assert not (run / "summary.json").exists()

    with start(tmp_path) as second:
        said, _ = second.communicate(timeout=1800)
    assert second.returncode == 0, said
    assert list(tmp_path.glob("2*")) == [run]
    done = read_run(run)
    assert done.summary is not None and done.summary.verdict == "OK"
    assert "resumed" in events(tmp_path)
    assert not (run / "state/norandom").exists()
    for domain in done.variants["norandom"].outcome.domains:
        # both sessions count, and the second had less to do
        assert domain.guest_seconds is not None and domain.wall_seconds is not None
        assert domain.guest_seconds > domain.wall_seconds + CHECKPOINT_SECONDS / 2
