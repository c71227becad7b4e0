"""``python -m tests.fuzz.ring``: the ring's bytes, fuzzed under atheris or by plain mutation.

atheris finds its way by the branches of the store's Python code; ``--plain``
only bends the corpus' programs, needs nothing installed, and is for bulk and
for sanitizers. Either ends after ``--requests`` answered requests, or at the
first input that is wrong, which is then in ``--findings``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import sys
import time
from pathlib import Path

__all__ = ["main"]

CORPUS = Path(__file__).parent / "corpus" / "ring"
_MOST_BYTES = 4096
_FIGURES_EVERY = 20.0


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.ring", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--engines", default="python,native", help="one store each, compared")
    parser.add_argument("--work", type=Path, default=Path("results/fuzz/ring"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="no atheris, no guidance")
    options = parser.parse_args(arguments)
    for folder in ("corpus", "findings"):
        (options.work / folder).mkdir(parents=True, exist_ok=True)
    return (_plain if options.plain else _guided)(options)


def _guided(options: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=["testbed.store"]):
        campaign = Campaign(options)
    from tests.fuzz.program import mutate

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        return mutate(data, most, draw, lambda part: atheris.Mutate(part, max(1, len(part))))

    flags = [
        f"-seed={options.seed}",
        f"-max_len={_MOST_BYTES}",
        "-timeout=300",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        "-len_control=0",
        "-verbosity=0",
        f"-artifact_prefix={options.work}/findings/",
        str(options.work / "corpus"),
        str(CORPUS),
    ]
    atheris.Setup([sys.argv[0], *flags], campaign.guided_input, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


def _plain(options: argparse.Namespace) -> int:
    campaign = Campaign(options)
    from tests.fuzz.program import mutate

    folders = (CORPUS, options.work / "corpus")
    pool = [path.read_bytes() for folder in folders for path in sorted(folder.glob("*"))]
    draw = random.Random(options.seed)
    pool = pool or [draw.randbytes(1024)]

    def bend(part: bytes) -> bytes:
        return bytes(b ^ (draw.getrandbits(8) if draw.random() < 0.1 else 0) for b in part)

    while not campaign.over:
        program = mutate(draw.choice(pool), _MOST_BYTES, draw, bend)
        if draw.random() < 0.5:  # two histories, one after the other
            program = (program + draw.choice(pool))[:_MOST_BYTES]
        try:
            campaign.run(program)
        except BaseException:
            name = hashlib.sha256(program).hexdigest()[:16]
            (options.work / "findings" / name).write_bytes(program)
            campaign.write()
            raise
    campaign.end()
    return 0


class Campaign:
    """A target, and when it has done enough."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Imports the store, which atheris may be about to instrument."""
        from tests.fuzz.subject import subjects
        from tests.fuzz.target import RingTarget

        self._options = options
        self._target = RingTarget(subjects(*options.engines.split(",")))
        self._written = time.monotonic()

    @property
    def over(self) -> bool:
        return self._target.figures.requests >= self._options.requests

    def run(self, program: bytes) -> None:
        self._target(program)
        if time.monotonic() - self._written > _FIGURES_EVERY:
            self.write()

    def guided_input(self, program: bytes) -> None:
        """libFuzzer knows no end but a number of inputs: this one counts requests."""
        self.run(program)
        if self.over:
            self.end()
            sys.stdout.flush()
            os._exit(0)

    def write(self) -> None:
        """Writes the figures so far."""
        self._written = time.monotonic()
        options = self._options
        corpus = [path.stat().st_size for path in (options.work / "corpus").iterdir()]
        self._target.figures.write(
            options.work / "figures.json",
            engines=options.engines,
            guided=not options.plain,
            seed=options.seed,
            corpus_files=len(corpus),
            corpus_bytes=sum(corpus),
            findings=len(list((options.work / "findings").iterdir())),
        )

    def end(self) -> None:
        """Writes the figures and shows them."""
        self.write()
        print((self._options.work / "figures.json").read_text())
        for store in self._target.stores:
            with contextlib.suppress(OSError):
                store.close()


if __name__ == "__main__":
    sys.exit(main())
