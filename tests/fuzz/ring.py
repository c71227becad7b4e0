"""``python -m tests.fuzz.ring``: the bytes of ring and data pages. See ``campaign.py``."""

from __future__ import annotations

import sys

from tests.fuzz.campaign import Target, main

__all__ = ["make"]


def make(engines: list[str]) -> Target:
    """A store for each engine, with several domains."""
    from tests.fuzz.subject import subjects
    from tests.fuzz.target import RingTarget

    return RingTarget(subjects(*engines))


if __name__ == "__main__":
    sys.exit(main("ring", make))
