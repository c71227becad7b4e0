"""What a fuzzer runs on each input, and what is counted over all of them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from testbed.store.protocol import Op, Status
from tests.fuzz.program import play
from tests.fuzz.session import NAMES, Session
from tests.fuzz.subject import Subject

__all__ = ["Figures", "RingTarget"]


@dataclass
class Figures:
    """Over all inputs."""

    requests: int = 0
    """Requests that were answered, by every store alike."""
    passed: int = 0
    """Of these, how many were not refused as malformed."""
    violations: int = 0
    connections: int = 0
    thorough_checks: int = 0
    solo_replays: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, session: Session) -> None:
        """Counts what ``session`` has seen."""
        self.violations += session.violations
        self.connections += session.connections
        for (op, status), count in session.statuses.items():
            self.requests += count
            self.passed += count if status != Status.EINVAL else 0
            name = Op(op).name if op in set(Op) else "unknown"
            self.answers[f"{name} {Status(status).name}"] += count


class RingTarget:
    """Plays programs at the stores; raises what is wrong."""

    def __init__(self, stores: list[Subject], thorough: int = 16, solo: int = 16) -> None:
        """Of every so many inputs one is verified whole, or replayed for one domain alone."""
        self.stores, self.figures = stores, Figures()
        self._thorough, self._solo, self._inputs = thorough, solo, 0

    @property
    def requests(self) -> int:
        """See ``Target.requests``."""
        return self.figures.requests

    def report(self) -> dict[str, Any]:
        """See ``Target.report``."""
        share = self.figures.passed / max(1, self.requests)
        figures = dataclasses.asdict(self.figures)
        return figures | {
            "passed_share": round(share, 4),
            "answers": dict(sorted(self.figures.answers.items())),
        }

    def close(self) -> None:
        """See ``Target.close``."""
        for store in self.stores:
            store.close()

    def __call__(self, program: bytes) -> None:
        number = self._inputs
        self._inputs += 1
        solo = not number % self._solo
        session = Session(self.stores)
        session.tracing = solo
        try:
            end = play(session, program)
            session.check()
            session.tracing = False
            if not number % self._thorough:
                session.check_thoroughly()
                self.figures.thorough_checks += 1
        finally:
            session.close()
        self.figures.add(session)
        if solo:
            alone = NAMES[number // self._solo % len(NAMES)]
            self.replay_alone(program[:end], alone, session.traces[alone])

    def replay_alone(self, program: bytes, name: str, trace: list[object]) -> None:
        """Without the others, ``name`` is told the very same, to the last byte."""
        session = Session(self.stores[-1:])
        session.tracing = True
        try:
            play(session, program, only=name)
        finally:
            session.close()
        assert session.traces[name] == trace, f"{name} can tell whether others are there"
        self.figures.solo_replays += 1
