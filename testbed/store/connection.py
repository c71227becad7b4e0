"""One connected domain: its account, its channel, what it said last."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field

from testbed.store.dispatcher import Dispatcher, Mark
from testbed.store.domain import Domain
from testbed.store.layout import ConnectionState, RequestCounters
from testbed.store.transport.interface import Channel

__all__ = ["Connection"]


@dataclass(slots=True, eq=False)
class Connection:
    """Lives from the handshake to the disconnection; its domain may outlive it."""

    name: str
    domain: Domain
    channel: Channel
    on_mark: Callable[[Mark], None]
    mark: Mark | None = None
    """The frontend's counters at its last MARK."""
    state: ConnectionState = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.state = ConnectionState(domain=ctypes.addressof(self.domain.state))
        pages = self.channel.nr_data_pages
        self.dispatcher = Dispatcher(self.domain, pages, self.on_mark, self.counters)

    @property
    def counters(self) -> RequestCounters:
        """What this connection asked for."""
        counters: RequestCounters = self.state.counters
        return counters
