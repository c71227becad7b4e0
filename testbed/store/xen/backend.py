"""One domain's device: its xenstore nodes and the xenbus handshake.

::

    frontend (domU)         backend (here)
    1 Initialising          1 Initialising -> 2 InitWait   nodes written
    3 Initialised           2 InitWait     -> 4 Connected  grants mapped
    4 Connected
    5 Closing               -> 5 Closing                   unmapped, references dropped
    6 Closed                -> 6 Closed
    1 Initialising          6 Closed       -> 2 InitWait   the same domain again

Each state of the frontend is acted on only where it is expected; watches may
fire twice. After a violation the backend stays in Closing or Closed.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from testbed.store.config import DomainConfig, StoreConfig
from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.protocol import VERSION
from testbed.store.transport.interface import Listener
from testbed.store.xen.channel import XenChannel
from testbed.store.xen.offer import ENCODINGS, Offer, read_offer
from testbed.store.xen.xenstore import Transaction, XenStore, run_transaction

__all__ = ["Backend", "XenbusState"]

ChannelFactory = Callable[[int, Offer], XenChannel]


class XenbusState(IntEnum):
    """``enum xenbus_state`` of ``io/xenbus.h``."""

    UNKNOWN = 0
    INITIALISING = 1
    INIT_WAIT = 2
    INITIALISED = 3
    CONNECTED = 4
    CLOSING = 5
    CLOSED = 6


class Backend:
    """The store's half of ``device/pageshare/0`` of domain ``domid``."""

    def __init__(
        self,
        xenstore: XenStore,
        config: StoreConfig,
        settings: DomainConfig,
        domid: int,
        open_channel: ChannelFactory,
        listener: Listener,
    ) -> None:
        """Does nothing yet; see ``create``."""
        self.domid = domid
        self.name = settings.name
        self._xenstore = xenstore
        self._config = config
        self._open_channel = open_channel
        self._listener = listener
        self.frontend = f"/local/domain/{domid}/device/pageshare/0"
        self.backend = f"/local/domain/0/backend/pageshare/{domid}/0"
        self.state = XenbusState.UNKNOWN
        self.channel: XenChannel | None = None
        self._seen = XenbusState.UNKNOWN
        self._refused = False

    # Nodes

    def create(self) -> bool:
        """Writes the nodes of both ends; False when the domain is gone already.

        Stale nodes go. A frontend that is alive (a former store served it)
        keeps its own; it is told to close, and may then start over.
        """
        return run_transaction(self._xenstore, self._create)

    def remove(self) -> None:
        """Removes the backend's nodes; the frontend's go with its domain."""
        self._xenstore.remove(self.backend.removesuffix("/0"))

    def _create(self, nodes: Transaction) -> bool:
        if nodes.read(f"/local/domain/{self.domid}/name") != self.name:
            return False
        left = self._frontend_state(nodes)
        fresh = left <= XenbusState.INITIALISING
        if fresh:
            self.state = XenbusState.INITIALISING
        elif left == XenbusState.CLOSED:
            self.state = XenbusState.CLOSED
        else:
            self.state = XenbusState.CLOSING
        nodes.remove(self.backend)
        nodes.make(self.backend, [(0, False), (self.domid, True)])
        for node, value in self._backend_nodes().items():
            nodes.write(f"{self.backend}/{node}", value)
        if fresh:
            nodes.remove(self.frontend)
            nodes.make(self.frontend, [(self.domid, False), (0, True)])
            nodes.write(f"{self.frontend}/backend", self.backend)
            nodes.write(f"{self.frontend}/backend-id", "0")
            nodes.write(f"{self.frontend}/state", str(int(XenbusState.INITIALISING)))
        return True

    def _backend_nodes(self) -> dict[str, str]:
        return {
            "frontend": self.frontend,
            "frontend-id": str(self.domid),
            "online": "1",
            "protocol-version": str(VERSION),
            "max-data-pages": str(self._config.max_data_pages),
            "encodings": ",".join(ENCODINGS),
            "mark-interval-ms": str(self._config.mark_interval_ms),
            "state": str(int(self.state)),
        }

    # Handshake

    def frontend_changed(self) -> None:
        """Acts on the frontend's state. Raises ``TransportError`` if xenstore fails."""
        state = self._frontend_state(self._xenstore)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._act(state)
        except (ProtocolViolation, TransportError) as error:
            self._listener.event(self.name, "violation", str(error))
            self.refuse(f"handshake: {error}")

    def _act(self, state: XenbusState) -> None:
        if state == XenbusState.INITIALISING:
            self.release("the frontend starts over")
            if not self._refused and self.state in (XenbusState.INITIALISING, XenbusState.CLOSED):
                self._switch(XenbusState.INIT_WAIT)
        elif state == XenbusState.INITIALISED:
            if self.state == XenbusState.INIT_WAIT:
                self._connect()
        elif state == XenbusState.CONNECTED:
            if self.channel is not None:
                self._listener.event(self.name, "frontend-connected", f"domain {self.domid}")
        elif state == XenbusState.CLOSING:
            self.release("the frontend closes")
            self._switch(XenbusState.CLOSING)
        elif state == XenbusState.CLOSED:
            self.release("the frontend has closed")
            self._switch(XenbusState.CLOSED)
        elif state == XenbusState.UNKNOWN:
            self.release("the frontend's nodes are gone")

    def _connect(self) -> None:
        offer = read_offer(self._xenstore, self.frontend, self._config.max_data_pages)
        self.channel = self._open_channel(self.domid, offer)
        limit = self._listener.connected(self.name, self.channel)
        self._xenstore.write(f"{self.backend}/store-limit", str(limit))
        self._switch(XenbusState.CONNECTED)

    def refuse(self, reason: str) -> None:
        """Ends the connection and accepts no other from this domain."""
        self._refused = True
        self.release(reason)
        self._switch(XenbusState.CLOSING)

    def release(self, reason: str) -> None:
        """Drops what the domain holds and unmaps its pages, at once."""
        channel, self.channel = self.channel, None
        if channel is None:
            return
        self._listener.disconnected(self.name, reason)
        channel.close()

    def leave(self, reason: str) -> None:
        """The store stops: releases and enters Closing."""
        self.release(reason)
        if self.state not in (XenbusState.CLOSED, XenbusState.UNKNOWN):
            self._switch(XenbusState.CLOSING)

    def finish(self) -> bool:
        """After ``leave``: enters Closed if the frontend is there; whether it is."""
        if self._frontend_state(self._xenstore) in (XenbusState.CONNECTED, XenbusState.CLOSING):
            return False
        self._switch(XenbusState.CLOSED)
        return True

    def _switch(self, state: XenbusState) -> None:
        if state != self.state:
            self.state = state
            self._xenstore.write(f"{self.backend}/state", str(int(state)))

    def _frontend_state(self, nodes: Transaction) -> XenbusState:
        text = nodes.read(f"{self.frontend}/state")
        if text is None or not (text.isascii() and text.isdigit()):
            return XenbusState.UNKNOWN
        try:
            return XenbusState(int(text))
        except ValueError:
            return XenbusState.UNKNOWN
