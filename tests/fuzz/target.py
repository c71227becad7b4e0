"""What a fuzzer runs on each input, and what is counted over all of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from testbed.store.protocol import Op, Status
from tests.fuzz.program import play
from tests.fuzz.session import NAMES, Session
from tests.fuzz.subject import Subject

__all__ = ["Figures", "RingTarget"]


@dataclass
class Figures:
    """Of one campaign."""

    inputs: int = 0
    requests: int = 0
    """Requests that were answered, by every store alike."""
    passed: int = 0
    """Of these, how many were not refused as malformed."""
    answers: Counter[str] = field(default_factory=Counter)
    violations: int = 0
    connections: int = 0
    thorough_checks: int = 0
    solo_replays: int = 0
    _began: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=time.process_time)

    def add(self, session: Session) -> None:
        """Counts what ``session`` has seen."""
        self.inputs += 1
        self.violations += session.violations
        self.connections += session.connections
        for (op, status), count in session.statuses.items():
            self.requests += count
            self.passed += count if status != Status.EINVAL else 0
            name = Op(op).name if op in set(Op) else "unknown"
            self.answers[f"{name} {Status(status).name}"] += count

    def report(self, **more: object) -> dict:
        """Everything, with rates."""
        seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        named = {name: value for name, value in vars(self).items() if name[0] != "_"}
        return {
            **more,
            **named,
            "answers": dict(sorted(self.answers.items())),
            "passed_share": round(self.passed / max(1, self.requests), 4),
            "wall_seconds": round(seconds, 1),
            "cpu_seconds": round(cpu, 1),
            "requests_per_wall_second": round(self.requests / seconds),
            "requests_per_cpu_second": round(self.requests / max(cpu, 1e-6)),
        }

    def write(self, path: Path, **more: object) -> None:
        """Writes the report, whole or not at all."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self.report(**more), indent=1) + "\n")
        new.rename(path)


class RingTarget:
    """Plays programs at the stores; raises what is wrong."""

    def __init__(self, stores: list[Subject], thorough: int = 16, solo: int = 16) -> None:
        """Every ``thorough``-th input is verified whole, every ``solo``-th replayed domain by domain."""
        self.stores, self.figures = stores, Figures()
        self._thorough, self._solo = thorough, solo

    def __call__(self, program: bytes) -> None:
        number = self.figures.inputs
        solo = not number % self._solo
        session = Session(self.stores)
        session.tracing = solo
        try:
            play(session, program)
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
            self.replay_alone(program, alone, session.traces[alone])

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
