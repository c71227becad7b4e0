"""``python3 -m testbed.hostile --config FILE --victim NAME --seed N --report FILE``.

Runs in dom0 in place of the store, over the same state, until SIGTERM. Prints
``ready`` on stdout. ``--report`` gets what was done so far as JSON: before that,
every second, and at the end.
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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from testbed.hostile.liar import Liar, draw_plan
from testbed.hostile.nodes import LyingXenStore
from testbed.hostile.ring import WatchedGrants
from testbed.store.config import DomainConfig, StoreConfig, load
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
    """What outlives a start: the pages, the liar, and the edge to those who are spared."""

    def __init__(self, config: StoreConfig, victim: str, seed: int, report: Path) -> None:
        groups = [domain.group for domain in config.domains]
        self._stack = contextlib.ExitStack()
        self._table, recovered = open_table(config.arena_bytes, groups, config.state_path)
        self._stack.callback(self._table.state.close)
        sink = RecordSink(config.records)
        self._stack.callback(sink.close)
        self._batch = Batch()
        self._config = config
        self._victim = victim
        self._random = Random(seed)  # noqa: S311 - the same lies again, not secrets
        self._report = report
        self._reported = 0.0
        self._stopping = False
        store = Store(config, self._table, recovered, self._batch, sink)
        self._stack.callback(store.close)
        self._liar = Liar(store, self._batch, victim, self._random)
        self._library, self._domains = RingLibrary(), XcDomainList()
        self._selector = self._stack.enter_context(selectors.DefaultSelector())

    def run(self) -> None:
        """Starts over and over until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        with self._stack:
            spared = [one for one in self._config.domains if one.name != self._victim]
            if spared:
                xenstore = LyingXenStore(XsStore(), self._victim, None, self._liar.told)
                self._open(self._stack, spared, xenstore)
            self._write_report()
            print("ready", flush=True)
            while not self._stopping:
                self._start()
            self._write_report()

    def _start(self) -> None:
        plan = draw_plan(self._random, self._liar.starts)
        xenstore = LyingXenStore(XsStore(), self._victim, plan.node, self._liar.told)
        self._liar.begin(plan, xenstore)
        with contextlib.ExitStack() as stack:
            self._open(stack, [self._config.domain(self._victim)], xenstore)
            while not (self._stopping or self._liar.over):
                for key, _ in self._selector.select(0 if self._liar.busy else _STEP_SECONDS):
                    key.data()
                self._liar.step()
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._write_report()

    def _open(
        self,
        stack: contextlib.ExitStack,
        domains: Sequence[DomainConfig],
        xenstore: LyingXenStore,
    ) -> None:
        """An edge to these domains alone, which is closed with ``stack``."""
        config = replace(self._config, domains=tuple(domains))
        events, grants = XenEventChannels(), WatchedGrants(XenGrantTable())
        edge = XenEdge(config, self._batch, self._library, xenstore, grants, events, self._domains)
        stack.callback(edge.close)
        edge.start(self._liar.at(grants, events.notify))
        for fd, callback in edge.sources():
            self._selector.register(fd, selectors.EVENT_READ, callback)
            stack.callback(self._selector.unregister, fd)

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
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        config = load(options.config)
        _House(config, options.victim, options.seed, options.report).run()
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
