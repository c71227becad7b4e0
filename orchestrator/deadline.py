"""A deadline is an object that is passed down, so that nested waits share it.

Every wait of the testbed takes one. All of them are stretched by one
slowness factor, ``TESTBED_SLOWNESS`` (1.0 by default), for slow hosts.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

__all__ = ["Deadline", "slowness"]


def slowness() -> float:
    """The factor by which every deadline is stretched (at least 0.1)."""
    return max(float(os.environ.get("TESTBED_SLOWNESS", "1")), 0.1)


@dataclass(frozen=True)
class Deadline:
    """A moment on the host's monotonic clock by which something must be done."""

    at: float
    """Seconds on ``time.monotonic``."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` (times the slowness factor) from now."""
        return cls(time.monotonic() + seconds * slowness())

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and ``seconds`` (scaled) from now."""
        return Deadline(min(self.at, Deadline.after(seconds).at))

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(self.at - time.monotonic(), 0.0)

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining == 0.0
