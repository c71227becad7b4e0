"""``python3 -m testbed.hostile --config FILE --victim NAME --seed N --report FILE``.

Runs in dom0 in place of the store, over the same state, until SIGTERM. Prints
``ready`` on stdout. Every second, and at the end, ``--report`` gets what was
done so far as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import selectors
import signal
import sys
import time
from pathlib import Path
from random import Random

from testbed.hostile.liar import Liar, draw_plan
from testbed.hostile.nodes import LyingXenStore
from testbed.hostile.ring import WatchedGrants
from testbed.store.config import StoreConfig, load
from testbed.store.errors import StoreError
from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.store import Store
from testbed.store.transport.interface import Batch
from testbed.store.transport.native import RingLibrary
from testbed.store.xen.domains import XcDomainList
from testbed.store.xen.edge import XenEdge
from testbed.store.xen.events import XenEventChannels
from testbed.store.xen.grants import XenGrantTable
from testbed.store.xen.xenstore import XsStore

__all__ = ["main"]

_STEP_SECONDS = 0.02
_REPORT_SECONDS = 1.0


class _House:
    """What outlives a start: the pages, and the liar."""

    def __init__(self, config: StoreConfig, victim: str, seed: int, report: Path) -> None:
        groups = [domain.group for domain in config.domains]
        self._table, recovered = open_table(config.arena_bytes, groups, config.state_path)
        self._sink = RecordSink(config.records)
        self._batch = Batch()
        self._config = config
        self._victim = victim
        self._random = Random(seed)  # noqa: S311 - the same lies again, not secrets
        self._report = report
        self._reported = 0.0
        self._stopping = False
        self._store = Store(config, self._table, recovered, self._batch, self._sink)
        self._liar = Liar(self._store, self._batch, victim, self._random)
        self._library, self._domains = RingLibrary(), XcDomainList()

    def run(self) -> None:
        """Starts over and over until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        print("ready", flush=True)
        while not self._stopping:
            self._start()
        self._write_report()
        self._store.close()
        self._sink.close()
        self._table.state.close()

    def _start(self) -> None:
        plan = draw_plan(self._random, self._liar.starts)
        with contextlib.ExitStack() as stack:
            events = XenEventChannels()
            grants = WatchedGrants(XenGrantTable())
            xenstore = LyingXenStore(XsStore(), self._victim, plan.node, self._liar.told)
            edge = XenEdge(
                self._config, self._batch, self._library, xenstore, grants, events, self._domains
            )
            stack.callback(edge.close)
            self._liar.begin(plan, grants, xenstore, events.notify)
            edge.start(self._liar)
            selector = stack.enter_context(selectors.DefaultSelector())
            for fd, callback in edge.sources():
                selector.register(fd, selectors.EVENT_READ, callback)
            while not (self._stopping or self._liar.over):
                for key, _ in selector.select(0 if self._liar.busy else _STEP_SECONDS):
                    key.data()
                self._liar.step()
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._write_report()

    def _write_report(self) -> None:
        fresh = self._report.with_suffix(".new")
        fresh.write_text(json.dumps(self._liar.report()))
        fresh.replace(self._report)
        self._reported = time.monotonic()

    def _stop(self, *_: object) -> None:
        self._stopping = True


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed.hostile", description="A store that lies to one domU."
    )
    parser.add_argument("--config", type=Path, required=True, help="the store's own")
    parser.add_argument("--victim", required=True, help="name of the domU that is lied to")
    parser.add_argument("--seed", type=int, required=True, help="of every lie")
    parser.add_argument("--report", type=Path, required=True, help="gets the counts, as JSON")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        config = load(options.config)
        _House(config, options.victim, options.seed, options.report).run()
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
