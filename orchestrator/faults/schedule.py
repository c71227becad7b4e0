"""When faults strike: a pure function of seed, variant and what the file asks for.

How long a workload takes is not known in advance, so gaps are drawn and not
moments. They are exponential: at every moment a fault is as likely as at any
other, whatever the workload does then. Where a variant has several faults, each
has a process of its own, and the processes are merged. Time that a fault and the
recovery from it take belongs to no gap.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.experiment import Fault, FaultKind

__all__ = ["Strike", "schedule"]


@dataclass(frozen=True)
class Strike:
    """One fault to come."""

    kind: FaultKind
    number: int
    """Counted from 1 within its kind."""
    gap_seconds: float
    """From the recovery of the one before, or from the workload's start."""
    seconds: float | None
    """How long the store stands still; None where the kind knows no length."""
    domain: str | None
    """The domU that is hit; None where it is the store."""


def schedule(seed: int, variant: str, faults: Sequence[Fault]) -> list[Strike]:
    """All strikes of a variant, in their order."""
    drawn: list[tuple[float, Fault, float | None]] = []
    for index, fault in enumerate(faults):
        # a text seeds by its hash, so that similar seeds give unlike streams
        source = random.Random(f"{seed} {variant} {index} {fault.kind}")  # noqa: S311
        moment = 0.0
        for _ in range(fault.count):
            moment += source.expovariate(1 / fault.mean_gap_seconds)
            seconds = source.uniform(*fault.seconds) if fault.seconds else None
            drawn.append((moment, fault, seconds))
    drawn.sort(key=lambda one: one[0])
    struck: dict[str, int] = {}
    strikes = []
    before = 0.0
    for moment, fault, seconds in drawn:
        struck[fault.kind] = struck.get(fault.kind, 0) + 1
        number = struck[fault.kind]
        strikes.append(Strike(fault.kind, number, moment - before, seconds, fault.domain))
        before = moment
    return strikes
