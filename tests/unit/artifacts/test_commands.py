from __future__ import annotations

import shlex
import threading
import time
from pathlib import Path

import pytest

from orchestrator.commands import CommandFailed, pasteable, run, stop_all
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError


def test_a_command_is_logged_so_that_it_can_be_pasted(tmp_path: Path) -> None:
    lines: list[str] = []
    run(["echo", "two words"], cwd=tmp_path, env={"A": "b c"}, log=lines.append)
    assert lines == [f"$ (cd {tmp_path} && A='b c' echo 'two words')"]
    assert shlex.split(pasteable(["echo", "a'b"])) == ["echo", "a'b"]


def test_streams_input_and_lines() -> None:
    seen: list[str] = []
    done = run(["sh", "-c", "cat; echo oops >&2"], input="a\nb\n", on_line=seen.append)
    assert (done.stdout, done.stderr, seen) == ("a\nb\n", "oops\n", ["a", "b"])


def test_a_failure_carries_the_last_lines_of_stderr() -> None:
    with pytest.raises(CommandFailed, match="status 3") as caught:
        run(["sh", "-c", "seq 100 >&2; exit 3"])
    assert caught.value.returncode == 3
    assert caught.value.tail.splitlines()[-1] == "100"
    assert len(caught.value.tail.splitlines()) < 30


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(UserError, match="no-such-program: no such program"):
        run(["no-such-program"])


@pytest.mark.parametrize(("program", "package"), [("xz", "xz-utils"), ("qemu-img", "qemu-utils")])
def test_a_missing_known_program_names_the_right_package(
    monkeypatch: pytest.MonkeyPatch, program: str, package: str
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=package):
        run([program])


def test_the_deadline_ends_the_whole_group() -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed, match="did not end in time"):
        run(["sh", "-c", "sleep 30 & sleep 30; wait"], deadline=Deadline.after(0.2))
    assert time.monotonic() - started < 5


def test_stop_all_ends_what_other_threads_wait_for() -> None:
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            run(["sh", "-c", "echo on; exec sleep 30"], on_line=lambda _: started.set())
        except CommandFailed as error:
            errors.append(error)

    started = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert started.wait(10)
    stop_all()
    thread.join(5)
    assert len(errors) == 1
