"""One connected domain: its account, its channel, what it said last."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.store.dispatcher import Dispatcher, RequestCounters
from testbed.store.domain import Domain
from testbed.store.transport.interface import Channel

__all__ = ["Connection"]


@dataclass(slots=True)
class Connection:
    """Lives from the handshake to the disconnection; its domain may outlive it."""

    domain: Domain
    channel: Channel
    dispatcher: Dispatcher
    mark: dict[str, int] | None = None
    """The frontend's counters at its last MARK."""

    @property
    def counters(self) -> RequestCounters:
        """What this connection asked for."""
        return self.dispatcher.counters
