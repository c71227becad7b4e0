"""The loop: one thread, one selector, everything the service owns."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
from collections.abc import Callable
from types import FrameType

from testbed.store.config import StoreConfig
from testbed.store.controlserver import ControlServer
from testbed.store.errors import ConfigError
from testbed.store.records import RecordSink
from testbed.store.recovery import open_table
from testbed.store.store import Store
from testbed.store.transport.interface import Batch, Edge

__all__ = ["Service"]

_IDLE_SECONDS = 1.0
_TURNS_TO_TIDY = 16
"""While there is work, memory is given back every so many turns."""

log = logging.getLogger("store")

EdgeFactory = Callable[[StoreConfig, Batch], Edge]


class Service:
    """Owns state, records, control socket and edge; a context manager."""

    def __init__(self, config: StoreConfig, make_edge: EdgeFactory) -> None:
        """Opens everything. Raises ``ConfigError`` when a path cannot be used."""
        self._stack = contextlib.ExitStack()
        self._stopping = False
        self._more = False
        self._next_look: float | None = None
        self._turns = 0
        with contextlib.ExitStack() as stack:
            self.selector = stack.enter_context(selectors.EpollSelector())
            batch = Batch()
            try:
                groups = [domain.group for domain in config.domains]
                table, recovered = open_table(config.arena_bytes, groups, config.state_path)
                stack.callback(table.state.close)
                sink = RecordSink(config.records)
                stack.callback(sink.close)
                self.store = Store(config, table, recovered, batch, sink)
                stack.callback(self.store.close)
                commands = self._commands()
                self._control = ControlServer(config.control_socket, self.selector, commands)
                stack.callback(self._control.close)
            except OSError as error:
                raise ConfigError(f"the store cannot start: {error}") from error
            edge = make_edge(config, batch)
            stack.callback(edge.close)
            self.store.use(edge)
            for fd, callback in edge.sources():
                self.selector.register(fd, selectors.EVENT_READ, callback)
                stack.callback(self.selector.unregister, fd)
            self._stack = stack.pop_all()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes everything. What the store holds stays, for one that is started next."""
        self._stack.close()

    def run(self) -> None:
        """Serves until ``stop``."""
        gc.collect()
        gc.freeze()
        while not self._stopping:
            self.turn(_IDLE_SECONDS)

    def turn(self, timeout: float) -> bool:
        """Waits up to ``timeout`` seconds for events and serves them; whether any came.

        Does not wait while a domain has requests left from its last turn, or
        while something is done in slices.
        """
        waiting = self.store.continue_pending()
        if self._next_look is not None:
            timeout = min(timeout, self._next_look)
        ready, served = self.store.select(self.selector, 0 if waiting or self._more else timeout)
        for key, _ in ready:
            key.data()
        idle = not served and not waiting
        self._turns += 1
        if idle or self._more or not self._turns % _TURNS_TO_TIDY:
            self._more = self.store.tidy(idle=idle)
        if self._control.busy:
            self._more |= self._control.step()
        self._next_look = self.store.look_again(idle=idle and not self._more)
        return served

    def stop(self) -> None:
        """Ends ``run`` after the current turn."""
        self._stopping = True

    def stop_on_signals(self) -> None:
        """Makes SIGTERM and SIGINT an orderly stop."""
        read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stack.callback(os.close, read_end)
        self._stack.callback(os.close, write_end)
        self.selector.register(read_end, selectors.EVENT_READ, lambda: os.read(read_end, 64))
        self._stack.callback(self.selector.unregister, read_end)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._stack.callback(signal.set_wakeup_fd, -1)

        def handler(number: int, _: FrameType | None) -> None:
            log.info("%s: stopping", signal.Signals(number).name)
            self.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, handler)

    def _commands(self) -> dict[str, Callable[[], object]]:
        return {
            "status": lambda: self.store.status(),
            "stats": lambda: self.store.stats(),
            "peak": lambda: self.store.peak.report(),
            "reset-peak": lambda: self.store.reset_peak(),
            "verify": lambda: self.store.verify(),
            "marks": lambda: self.store.marks(),
            "drain": lambda: self.store.drain(),
        }
