"""Run other programs: every one is logged so that it can be pasted, and ends by a deadline.

A missing program is the user's to install, so it becomes a ``UserError`` that
names the Debian package. A program that fails or outlives its deadline becomes
an ``InfrastructureError`` with the last lines it wrote.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, UserError

__all__ = [
    "CommandFailed",
    "Log",
    "package_of",
    "pasteable",
    "run",
    "search_path",
    "silent",
    "stop_all",
]

Log = Callable[[str], None]
"""Takes one line of progress, without a line end."""

TAIL_LINES = 25
_DEFAULT_SECONDS = 3600.0

_running: set[subprocess.Popen[str]] = set()
_running_lock = threading.Lock()

_PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "aarch64-linux-gnu-strip": "binutils-aarch64-linux-gnu",
    "apt-get": "apt",
    "bc": "bc",
    "bison": "bison",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "dpkg-query": "dpkg",
    "dpkg-source": "dpkg-dev",
    "fakeroot": "fakeroot",
    "flex": "flex",
    "gcc": "gcc",
    "make": "make",
    "mke2fs": "e2fsprogs",
    "mkswap": "util-linux",
    "mmdebstrap": "mmdebstrap",
    "patch": "patch",
    "perl": "perl",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "rsync": "rsync",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
    "xz": "xz-utils",
}


class CommandFailed(InfrastructureError):
    """A program ended with another status than 0, or not in time.

    ``returncode`` is the status (negative: the signal that ended it), ``output``
    the standard output, ``tail`` the last lines of both streams.
    """

    def __init__(self, message: str, *, returncode: int, output: str, tail: str) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.output = output
        self.tail = tail


def silent(line: str) -> None:
    """A ``Log`` that keeps nothing."""
    del line


def package_of(program: str) -> str:
    """The Debian package that holds ``program`` (its own name where we know no better)."""
    return _PACKAGES.get(Path(program).name, Path(program).name)


def pasteable(
    argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """The command as one line that a shell takes, with its folder and its own variables."""
    words = [f"{name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    words.append(shlex.join(str(word) for word in argv))
    line = " ".join(words)
    return f"(cd {shlex.quote(str(cwd))} && {line})" if cwd else line


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Log = silent,
    deadline: Deadline | None = None,
    input: str | None = None,  # noqa: A002 - the name that subprocess gives it
    on_line: Log | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` to its end and return both of its streams.

    ``env`` is added to this process's environment. ``on_line`` sees each line of
    standard output as it comes. On any exception, Ctrl-C included, the whole
    process group is killed before the exception goes on.

    Raises ``UserError`` for a missing program, ``CommandFailed`` for a status
    other than 0 or a passed deadline (default: one hour).
    """
    words = [str(word) for word in argv]
    shown = pasteable(words, cwd=cwd, env=env)
    log(f"$ {shown}")
    deadline = deadline or Deadline.after(_DEFAULT_SECONDS)
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        process = _start(words, cwd, env, input, stderr)
        stdout, late = _drain(process, deadline, on_line)
        stderr.seek(0)
        errors = stderr.read()
    if late or process.returncode:
        why = "did not end in time" if late else f"ended with status {process.returncode}"
        tail = _tail(errors) or _tail(stdout)
        raise CommandFailed(
            f"{Path(words[0]).name} {why}: $ {shown}\n{tail}",
            returncode=process.returncode,
            output=stdout,
            tail=tail,
        )
    return subprocess.CompletedProcess(words, process.returncode, stdout, errors)


def search_path() -> str:
    """``PATH`` with the sbin folders, which Debian leaves out of ordinary users' own."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def stop_all() -> None:
    """Kill every program that ``run`` started, in any thread, and that has not ended.

    The threads that wait for them see ``CommandFailed``.
    """
    with _running_lock:
        for process in _running:
            _kill(process)


def _start(
    words: list[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    text: str | None,
    stderr: IO[str],
) -> subprocess.Popen[str]:
    with tempfile.TemporaryFile("w+") as stdin:
        stdin.write(text or "")
        stdin.seek(0)
        try:
            return subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, "PATH": search_path(), **(env or {})},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if cwd is not None and not cwd.is_dir():
                raise InfrastructureError(f"no folder {cwd} to run {words[0]} in") from error
            raise UserError(
                f"{words[0]}: no such program; install the Debian package "
                f"{package_of(words[0])} (make setup does)"
            ) from error


def _drain(
    process: subprocess.Popen[str], deadline: Deadline, on_line: Log | None
) -> tuple[str, bool]:
    """All of standard output, and whether the deadline ended the process."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(deadline.remaining, end)
    timer.daemon = True
    timer.start()
    lines: list[str] = []
    with _running_lock:
        _running.add(process)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if on_line is not None:
                on_line(line.rstrip("\n"))
        process.wait()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        timer.cancel()
        with _running_lock:
            _running.discard(process)
        if process.stdout is not None:
            process.stdout.close()
    return "".join(lines), late.is_set()


def _kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _tail(text: str) -> str:
    return "\n".join(deque(text.splitlines(), TAIL_LINES))
