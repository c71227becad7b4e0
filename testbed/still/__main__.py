"""``python3 -m testbed.still``: holds some domains still while they are looked at.

Pauses them, waits until the store has handled all that they asked, and copies
its files, which then are of one moment. Says so in ``still.json`` and waits for
a file ``go``, or for ``--most-seconds``: a domain is never left paused. How long
each was goes to ``done.json``. All files lie in the folder ``--to``; the copies
in its folder ``copy``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from testbed.still.files import copy_files
from testbed.store.control import ask
from testbed.store.errors import StoreError
from testbed.store.xen.library import load_python

__all__ = ["Pauser", "Quiet", "hold", "main"]

_SETTLE_SECONDS = 0.02
_LOOK_SECONDS = 0.01


class Pauser(Protocol):
    """Who stops domains: Xen's ``xc`` binding, or a test's stand-in."""

    def domain_pause(self, domid: int) -> None:
        """Stops it."""

    def domain_unpause(self, domid: int) -> None:
        """Lets it go on."""


class Quiet:
    """Waits until the store does nothing any more."""

    def __init__(self, socket: Path, until: float) -> None:
        """``until`` is a moment on the monotonic clock."""
        self._socket = socket
        self._until = until

    def stats(self) -> dict[str, Any]:
        """What the store says of itself, twice the same. Raises ``StoreError``."""
        before = self._ask()
        while True:
            time.sleep(_SETTLE_SECONDS)
            after = self._ask()
            if _work(before) == _work(after):
                return after
            if time.monotonic() > self._until:
                raise StoreError("the store does not come to rest, though its domains are paused")
            before = after

    def marks(self) -> dict[str, Any]:
        """The last MARK of each domain. Raises ``StoreError``."""
        answer: dict[str, Any] = ask(self._socket, "marks", timeout=10.0)
        return answer

    def _ask(self) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self._socket, "stats", timeout=10.0)
        return answer


def _work(stats: dict[str, Any]) -> tuple[int, int]:
    """Requests handled, and blocks moved to give memory back."""
    return stats["service"]["requests"], stats["arena_moves"]


def hold(
    pauser: Pauser, domids: list[int], quiet: Quiet, state: Path, folder: Path, until: float
) -> None:
    """Does all of it; ``folder`` is there, and ``until`` is a moment on the monotonic clock.

    Raises ``StoreError`` or ``OSError``; no domain is paused any more then.
    """
    seconds: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        for domid in domids:
            stack.enter_context(_paused(pauser, domid, seconds))
        began = time.monotonic()
        stats = quiet.stats()
        while True:
            copied = copy_files(state, folder / "copy")
            after = quiet.stats()
            if _work(after) == _work(stats):
                break
            stats = after
        still = {
            "dom0_seconds": began,
            "stats": stats,
            "marks": quiet.marks(),
            "copied_bytes": copied,
        }
        _write(folder / "still.json", still)
        while not (folder / "go").exists() and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        went = (folder / "go").exists()
    _write(folder / "done.json", {"paused_seconds": seconds, "in_time": went})


@contextlib.contextmanager
def _paused(pauser: Pauser, domid: int, seconds: dict[str, float]) -> Iterator[None]:
    pauser.domain_pause(domid)
    began = time.monotonic()
    try:
        yield
    finally:
        pauser.domain_unpause(domid)
        seconds[str(domid)] = time.monotonic() - began


def _write(path: Path, what: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(what), encoding="utf-8")
    new.rename(path)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed.still", description="Holds domains still while they are looked at."
    )
    parser.add_argument("--socket", type=Path, required=True, help="the store's control_socket")
    parser.add_argument("--state", type=Path, required=True, help="the folder of its files")
    parser.add_argument("--to", type=Path, required=True, help="folder for what is left behind")
    parser.add_argument("--most-seconds", type=float, default=30.0)
    parser.add_argument("domid", type=int, nargs="+")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.most_seconds
    try:
        options.to.mkdir(mode=0o700, parents=True, exist_ok=True)
        hold(
            load_python("xc").xc(),
            options.domid,
            Quiet(options.socket, until),
            options.state,
            options.to,
            until,
        )
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
