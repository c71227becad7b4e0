"""The store under test: the one place where the fuzzers build it."""

from __future__ import annotations

import json
import logging
import os
import selectors
import shutil
import socket
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from testbed.store.config import StoreConfig
from testbed.store.protocol import PAGE_SIZE
from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.state import LAYOUT, Life
from testbed.store.store import Store
from testbed.store.transport.inprocess import InProcessEdge, SharedMemory
from testbed.store.transport.interface import Batch, Welcome
from tests.unit.store.support import make_config, ring_library

__all__ = ["GROUPS", "MAX_DATA_PAGES", "QUOTAS", "Subject", "fuzz_config", "subjects"]

QUOTAS = {"domU1": 20 * PAGE_SIZE, "domU2": 20 * PAGE_SIZE, "other": 6 * PAGE_SIZE}
"""Small, so that limits are met and blocks have to move."""
GROUPS = {"domU1": "a", "domU2": "a", "other": "b"}
MAX_DATA_PAGES = 8

_SECRET = bytes(range(32))
"""Every input means the same in every run, and to each of two stores."""


def subjects(*engines: str) -> list[Subject]:
    """A store for each of the engines, all alike but for that."""
    return [Subject(engine) for engine in engines]


def fuzz_config(folder: Path, engine: str) -> StoreConfig:
    """Small, so that limits are reached, and without MARKs of its own."""
    config = make_config(folder, QUOTAS, GROUPS, engine)
    return replace(
        config, mark_interval_ms=0, records=Path("/dev/null"), max_data_pages=MAX_DATA_PAGES
    )


class Subject:
    """A store over an in-process edge, on files in memory; as good as new for every input."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        memory = Path("/dev/shm")
        parent = memory if memory.is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="pageshare-fuzz-", dir=parent))
        self._batch = Batch()
        self.config = fuzz_config(self._folder, engine)
        self._running = False
        # What stands for /dev/xen/evtchn, from which the native loop reads ports itself.
        self._xen, self._device = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._xen.setblocking(False)
        self._device.setblocking(False)
        self._selector = selectors.EpollSelector()
        self._selector.register(self._device, selectors.EVENT_READ)

    def fresh(self) -> None:
        """Starts an empty store."""
        self.stop()
        logging.disable(logging.CRITICAL)  # reasons are compared, not read
        folder = self.config.state_path
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        header = {
            "magic": "pageshare-state",
            "layout": LAYOUT,
            "capacity_bytes": self.config.arena_bytes,
            "groups": sorted(set(GROUPS.values())),
            "secret": _SECRET.hex(),
        }
        (folder / "header").write_text(json.dumps(header))
        self.start()

    def start(self) -> None:
        """Starts a store on what the last one left."""
        config = self.config
        self._sink = RecordSink(config.records)
        self.edge = InProcessEdge(ring_library(), self._batch)
        groups = [domain.group for domain in config.domains]
        table, recovered = open_table(config.arena_bytes, groups, config.state_path)
        assert not recovered.damaged
        self.store = Store(config, table, recovered, self._batch, self._sink)
        if self.engine == "native":
            self.edge.events_fd = self._device.fileno  # type: ignore[method-assign]
        self.store.use(self.edge)
        ((_, self._wake),) = self.edge.sources()
        self._running = True

    def attach(self, name: str, shared: SharedMemory, life: Life) -> Welcome:
        """Connects a frontend."""
        welcome = self.edge.attach(name, shared, life)
        self.store.connections[name].state.port = life.domid
        return welcome

    def serve(self, fired: Mapping[str, SharedMemory]) -> None:
        """Whoever fired sends an event; then what the service's loop does until nothing is left."""
        if self.engine == "native":
            self._serve_natively([self.store.connections[name].state.port for name in fired])
        else:
            for shared in fired.values():
                os.eventfd_write(shared.to_store, 1)
            self._wake()
        while self.store.continue_pending():
            pass

    def _serve_natively(self, ports: list[int]) -> None:
        self._xen.send(struct.pack(f"<{len(ports)}I", *ports))
        while self.store.select(self._selector, 0)[1]:
            self.store.continue_pending()
        unmasked = self._xen.recv(4096)
        assert unmasked == struct.pack(f"<{len(ports)}I", *ports)

    def stop(self) -> None:
        """What SIGTERM does: the state stays."""
        if not self._running:
            return
        self._running = False
        self.edge.close()
        state = self.store.table.state
        self.store.close()
        state.close()
        self._sink.close()

    def close(self) -> None:
        """Stops it and removes its files."""
        self.stop()
        self._selector.close()
        self._xen.close()
        self._device.close()
        shutil.rmtree(self._folder)
