"""How much of dom0's CPU the second look may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Budget"]

_MOMENT = 1e-6
"""Seconds: less is none."""
_SAVED_SECONDS = 0.25
"""Of idle time for which it may make up later."""


class Budget:
    """A share of a CPU, and pages a second; neither is saved up for long."""

    def __init__(
        self,
        cpu_share: float,
        pages_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """``cpu_share`` of one CPU; both clocks count seconds."""
        self._rates = (cpu_share, pages_per_second)
        self._most = (cpu_share * _SAVED_SECONDS, max(1.0, pages_per_second * _SAVED_SECONDS))
        self._left = [0.0, 0.0]
        self._clock, self._cpu_clock = clock, cpu_clock
        self._then = clock()
        self.spent_seconds = 0.0
        """Of CPU time, in all."""

    def wait(self) -> float:
        """Seconds until the next page may be looked at; 0 for now."""
        now = self._clock()
        passed, self._then = now - self._then, now
        for at, rate in enumerate(self._rates):
            self._left[at] = min(self._most[at], self._left[at] + passed * rate)
        owed = (0.0 - self._left[0], 1.0 - self._left[1])
        wait = max(one / rate for one, rate in zip(owed, self._rates, strict=True))
        return wait if wait > _MOMENT else 0.0

    @contextmanager
    def page(self) -> Iterator[None]:
        """Counts one page, and the CPU time that is used inside."""
        began = self._cpu_clock()
        try:
            yield
        finally:
            spent = self._cpu_clock() - began
            self.spent_seconds += spent
            self._left[0] -= spent
            self._left[1] -= 1.0
