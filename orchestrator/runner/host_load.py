"""A host that has other work to do: what a clock that repeats must not notice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["host_load"]

# It ends with whoever started it, however that ends: standard input is a pipe from there.
_BUSY = """\
import select, sys
while not select.select([sys.stdin], [], [], 0)[0]:
    sum(range(100000))
"""
_END_SECONDS = 10.0


@contextmanager
def host_load(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute, until the end of the block."""
    with ExitStack() as stack:
        for _ in range(processes):
            process = subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE)
            stack.callback(_end, process)
        yield


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
