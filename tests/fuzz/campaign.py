"""Runs a target on one input after another, under atheris or by plain mutation, and keeps count.

atheris finds its way by the branches of the store's Python code; ``--plain``
only bends the corpus' programs, needs nothing installed, and is for bulk and
for sanitizers. Either ends after ``--requests``, or at the first input that is
wrong, which then lies in ``findings`` of the ``--work`` folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.fuzz import changed
from tests.fuzz.mutation import mutate

__all__ = ["CORPORA", "Target", "main"]

CORPORA = Path(__file__).parent / "corpus"
_MOST_BYTES = 4096
_FIGURES_EVERY = 20.0


class Target(Protocol):
    """What is fuzzed."""

    @property
    def requests(self) -> int:
        """Requests so far, of whatever kind the target counts."""

    def __call__(self, program: bytes) -> None:
        """Plays one input. Raises whatever is wrong."""

    def report(self) -> dict[str, Any]:
        """Figures over all inputs."""

    def close(self) -> None:
        """Leaves nothing behind."""


MakeTarget = Callable[[list[str]], Target]
"""From the names of the engines. Imports the store: atheris may want to see that."""


def main(name: str, make: MakeTarget, arguments: list[str] | None = None) -> int:
    """The command line of the fuzzer called ``name``."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.fuzz.{name}", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="ends after so many")
    parser.add_argument("--engines", default="python,native", help="one store each, compared")
    parser.add_argument("--work", type=Path, default=Path("results/fuzz") / name)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--sanitize", action="store_true", help="the native piece; is --plain")
    parser.add_argument("--weak", action="store_true", help="fingerprints that collide")
    options = parser.parse_args(arguments)
    if options.weak:
        given = [word for word in arguments or sys.argv[1:] if word != "--weak"]
        return changed.run_weak(name, options.work, given)
    if options.sanitize or options.plain:
        # Imports the store: atheris must be there before.
        from tests.fuzz import native

        native.use_what_the_environment_names()
    if options.sanitize:
        given = [word for word in arguments or sys.argv[1:] if word != "--sanitize"]
        command = ["-m", f"tests.fuzz.{name}", *given, "--plain"]
        return native.run_sanitized(Path("results/fuzz/native-sanitized"), command)
    for folder in ("corpus", "findings"):
        (options.work / folder).mkdir(parents=True, exist_ok=True)
    folders = [options.work / "corpus", CORPORA / name]
    if options.plain:
        _plain(Campaign(options, make), folders)
    else:
        _guided(options, make, folders)
    return 0


class Campaign:
    """A target, and whether it has done enough."""

    def __init__(self, options: argparse.Namespace, make: MakeTarget) -> None:
        self.options = options
        self.target = make(options.engines.split(","))
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._inputs, self._slowest, self._written = 0, 0.0, self._began

    @property
    def over(self) -> bool:
        return self.target.requests >= self.options.requests

    def run(self, program: bytes) -> None:
        """Plays one input; a wrong one is kept."""
        self._inputs += 1
        name = hashlib.sha256(program).hexdigest()[:16]
        played = self.options.work / "findings" / name
        played.write_bytes(program)  # stays there if this process dies
        before = time.process_time()
        try:
            self.target(program)
        except BaseException:
            self.write()
            raise
        played.unlink()
        self._slowest = max(self._slowest, time.process_time() - before)
        if time.monotonic() - self._written > _FIGURES_EVERY:
            self.write()

    def run_guided(self, program: bytes) -> None:
        """libFuzzer knows no end but a number of inputs, and no way back."""
        self.run(program)
        if self.over:
            self.end()
            sys.stdout.flush()
            os._exit(0)

    def write(self) -> None:
        """Writes ``figures.json``, whole or not at all."""
        self._written = time.monotonic()
        wall, cpu = self._written - self._began, time.process_time() - self._cpu
        options, requests = self.options, self.target.requests
        corpus = [path.stat().st_size for path in (options.work / "corpus").iterdir()]
        figures = {
            "engines": options.engines,
            "guided": not options.plain,
            "seed": options.seed,
            "inputs": self._inputs,
            **self.target.report(),
            "wall_seconds": round(wall, 1),
            "cpu_seconds": round(cpu, 1),
            "requests_per_wall_second": round(requests / wall),
            "requests_per_cpu_second": round(requests / max(cpu, 1e-6)),
            "slowest_input_cpu_seconds": round(self._slowest, 3),
            "corpus_files": len(corpus),
            "corpus_bytes": sum(corpus),
            "findings": len(list((options.work / "findings").iterdir())),
        }
        new = options.work / "figures.new"
        new.write_text(json.dumps(figures, indent=1) + "\n")
        new.rename(options.work / "figures.json")

    def end(self) -> None:
        """Shows the figures."""
        self.write()
        print((self.options.work / "figures.json").read_text())
        self.target.close()


def _guided(options: argparse.Namespace, make: MakeTarget, folders: list[Path]) -> None:
    import atheris

    with atheris.instrument_imports(include=["testbed.store"]):
        campaign = Campaign(options, make)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        return mutate(data, most, draw, lambda part: atheris.Mutate(part, max(1, len(part))))

    flags = [
        f"-seed={options.seed}",
        f"-max_len={_MOST_BYTES}",
        "-timeout=600",
        "-report_slow_units=600",
        "-rss_limit_mb=4096",
        "-verbosity=0",
        f"-artifact_prefix={options.work}/crash-",
        *map(str, folders),
    ]
    atheris.Setup([sys.argv[0], *flags], campaign.run_guided, custom_mutator=mutator)
    atheris.Fuzz()


def _plain(campaign: Campaign, folders: list[Path]) -> None:
    draw = random.Random(campaign.options.seed)
    pool = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*"))]
    pool = pool or [b""]

    def bend(part: bytes) -> bytes:
        return bytes(byte ^ (draw.random() < 0.1 and draw.getrandbits(8)) for byte in part)

    for program in pool:
        campaign.run(program)
    while not campaign.over:
        program = mutate(draw.choice(pool), _MOST_BYTES, draw, bend)
        if draw.random() < 0.5:  # two histories, one after the other
            program = program + draw.choice(pool)
        if draw.random() < 0.5:  # what nobody has thought of: the corpus is small
            program = program[: _MOST_BYTES // 2] + draw.randbytes(_MOST_BYTES // 2)
        program = program[:_MOST_BYTES]
        campaign.run(program)
    campaign.end()
