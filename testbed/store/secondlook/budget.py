"""How much of dom0's CPU the second look may take.

By a clock on the wall, which is read without a system call: time for which dom0
does not run counts too, so it is a share at the most.
"""

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
    ) -> None:
        """``cpu_share`` of one CPU; ``clock`` counts seconds."""
        self._rates = (cpu_share, pages_per_second)
        self._most = (cpu_share * _SAVED_SECONDS, max(1.0, pages_per_second * _SAVED_SECONDS))
        self._left = [0.0, 0.0]
        self._clock = clock
        self._then = clock()
        self.spent_seconds = 0.0
        """In all."""
        self.pages = 0
        """In all; one that was taken up twice counts twice."""

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
        """Counts one page, and the time that is spent inside."""
        began = self._clock()
        try:
            yield
        finally:
            spent = self._clock() - began
            self.spent_seconds += spent
            self.pages += 1
            self._left[0] -= spent
            self._left[1] -= 1.0
