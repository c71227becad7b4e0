"""``python -m tests.fuzz.faults``: whether the ring's fuzzer finds mistakes in the native piece.

The mistakes are those of ``planted.py``. A fuzzer that finds nothing says
something only if it would have found these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.native import build_changed, environment_of
from tests.fuzz.planted import COLLISIONS, FAULTS
from tests.fuzz.weak import WEAK

__all__ = ["main"]

WITHOUT = ("(nothing)", "(nothing, --weak)")
"""Nothing is planted: who finds something in these would find it everywhere."""
_TIMEOUT = 600.0
_TIMED_OUT = 1000


class Outcome(NamedTuple):
    """What became of one fault."""

    fault: str
    found: bool
    requests: int
    """Answered until then, of inputs that ended."""
    how: str


def try_fault(fault: str, work: Path, requests: int) -> Outcome:
    """Fuzzes a store with ``fault`` until it fails, or ``requests`` have been answered."""
    weak = fault in COLLISIONS or fault == WITHOUT[1]
    changes = [(FAULTS | COLLISIONS)[fault]] if fault not in WITHOUT else []
    build_changed(work / "native", changes + [WEAK] * weak)
    command = [sys.executable, "-m", "tests.fuzz.ring", "--plain", "--work", str(work)]
    command += ["--requests", str(requests), *["--weak"] * weak]
    environment = environment_of(work / "native")
    try:
        done = subprocess.run(
            command, env=environment, timeout=_TIMEOUT, check=False, capture_output=True, text=True
        )
        status, said = done.returncode, done.stderr
    except subprocess.TimeoutExpired:
        status, said = _TIMED_OUT, ""
    figures = work / "figures.json"
    answered = json.loads(figures.read_text())["requests"] if figures.exists() else 0
    last = said.strip().splitlines()[-1] if said.strip() else ""
    how = {0: "", _TIMED_OUT: "does not end"}.get(
        status, last if status > 0 else f"signal {-status}"
    )
    return Outcome(fault, status != 0, answered, how)


def outcomes(names: Sequence[str], work: Path, requests: int) -> Iterator[Outcome]:
    """Of nothing planted, which must not be found, and of each of ``names``."""
    for number, name in enumerate([*WITHOUT, *names]):
        yield try_fault(name, work / f"{number:02}", requests)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.faults", description=__doc__)
    parser.add_argument("--requests", type=int, default=60_000, help="tried for each fault")
    parser.add_argument("--work", type=Path, default=Path("results/fuzz/faults"))
    parser.add_argument("faults", nargs="*", help="all of them, if none is named")
    options = parser.parse_args(arguments)
    work = options.work / str(os.getpid())
    began, missed = time.monotonic(), []
    names = options.faults or [*FAULTS, *COLLISIONS]
    for outcome in outcomes(names, work, options.requests):
        if outcome.found == (outcome.fault in WITHOUT):
            missed.append(outcome.fault)
        verdict = f"found after {outcome.requests}" if outcome.found else "not found"
        print(f"{outcome.fault:36} {verdict:24} {outcome.how:.100}", flush=True)
    print(f"{len(missed)} wrong: {missed}, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
