"""``python -m tests.fuzz.faults``: whether the fuzzers find mistakes.

The mistakes are those of ``planted.py``, each in a copy of the store. A fuzzer
that finds nothing says something only if it would have found these.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.changed import WEAK, Change, command_in, make_tree
from tests.fuzz.planted import COLLISIONS, HANDSHAKE, NATIVE, PYTHON

__all__ = ["PLANTED", "Outcome", "Plan", "main", "try_plan"]

_TIMEOUT = 300.0
_TIMED_OUT = 1000


class Plan(NamedTuple):
    """What is changed, and which fuzzer is to find it."""

    fuzzer: str
    changes: Sequence[Change]
    right: bool = False
    """Nothing is wrong: who finds something here would find it everywhere."""


PLANTED = {
    "(nothing)": Plan("ring", (), right=True),
    "(nothing, fingerprints collide)": Plan("ring", WEAK, right=True),
    "(nothing, handshakes)": Plan("xenstore", (), right=True),
    **{name: Plan("ring", (change,)) for name, change in (NATIVE | PYTHON).items()},
    **{name: Plan("ring", (*WEAK, change)) for name, change in COLLISIONS.items()},
    **{name: Plan("xenstore", (change,)) for name, change in HANDSHAKE.items()},
}


class Outcome(NamedTuple):
    """What became of one of them."""

    found: bool
    requests: int
    """Answered until then, of inputs that ended."""
    how: str


def try_plan(plan: Plan, work: Path, requests: int) -> Outcome:
    """Fuzzes until something is wrong, or ``requests`` have been answered."""
    make_tree(work / "tree", plan.changes)
    command = command_in(plan.fuzzer, work, ["--plain", "--requests", str(requests)])
    try:
        done = subprocess.run(
            command,
            cwd=work / "tree",
            timeout=_TIMEOUT,
            check=False,
            capture_output=True,
            text=True,
        )
        status, said = done.returncode, done.stderr.strip()
    except subprocess.TimeoutExpired:
        status, said = _TIMED_OUT, ""
    figures = work / "figures.json"
    answered = json.loads(figures.read_text())["requests"] if figures.exists() else 0
    if status in (0, _TIMED_OUT):
        how = "does not end" if status else ""
    else:
        how = said.splitlines()[-1] if status > 0 and said else f"signal {-status}"
        if how.startswith("subprocess.CalledProcessError"):
            raise RuntimeError(f"this does not even build: {plan.changes}")
    return Outcome(status != 0, answered, how)


def outcomes(names: Sequence[str], work: Path, requests: int) -> Iterator[tuple[str, Outcome]]:
    """Of each of ``names`` in turn."""
    for number, name in enumerate(names):
        yield name, try_plan(PLANTED[name], work / f"{number:03}", requests)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.faults", description=__doc__)
    parser.add_argument("--requests", type=int, default=60_000, help="tried for each fault")
    parser.add_argument("--work", type=Path, default=Path("results/fuzz/faults"))
    parser.add_argument("faults", nargs="*", help="all of them, if none is named")
    options = parser.parse_args(arguments)
    began, wrong = time.monotonic(), []
    for name, outcome in outcomes(options.faults or [*PLANTED], options.work, options.requests):
        if outcome.found == PLANTED[name].right:
            wrong.append(name)
        verdict = f"found after {outcome.requests}" if outcome.found else "not found"
        print(f"{name:36} {verdict:20} {outcome.how:.100}", flush=True)
    print(f"{len(wrong)} wrong: {wrong}, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
