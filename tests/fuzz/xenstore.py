"""``python -m tests.fuzz.xenstore``: what domUs write into xenstore. See ``campaign.py``."""

from __future__ import annotations

import sys

from tests.fuzz.campaign import Target, main

__all__ = ["make"]


def make(engines: list[str]) -> Target:
    """A dom0 for each engine, with an honest domain and others."""
    from tests.fuzz.handshake import XenstoreTarget

    return XenstoreTarget(engines)


if __name__ == "__main__":
    sys.exit(main("xenstore", make))
