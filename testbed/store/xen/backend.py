"""One domain's device: its xenstore nodes and the xenbus handshake.

::

    frontend (domU)         backend (here)
    whatever it was         -> 2 InitWait                  nodes written, a new instance;
                                                           5 or 6: pages dropped
    1 Initialising          -> 2 InitWait                  unmapped, pages kept
    3 Initialised           2 InitWait     -> 4 Connected  grants mapped
    4 Connected
    5 Closing               -> 5 Closing                   unmapped, pages dropped
    6 Closed                -> 6 Closed
    1 Initialising          6 Closed       -> 2 InitWait   the same domain again

An Initialised that names another instance is meant for a store that is gone:
the frontend will find this one and say it again. Watches may fire twice, and
once for several changes. After a violation the backend stays in Closing or
Closed. A backend that drains is in Closing, but stays mapped until the
frontend is Closed. One that was in InitWait when the draining began connects
still, since its domain may have pages here, and drains once the frontend is
Connected: one that sees Closing before that leaves at once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from testbed.store.config import DomainConfig, StoreConfig
from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.protocol import MAX_RING_ORDER, VERSION
from testbed.store.state import Life
from testbed.store.transport.interface import Listener
from testbed.store.xen.channel import XenChannel
from testbed.store.xen.offer import ENCODINGS, Offer, hexadecimal, read_offer
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
        instance: int,
    ) -> None:
        """Does nothing yet; see ``create``. ``instance`` tells this store from others."""
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
        self._instance = instance
        self._seen: tuple[object, ...] = ()
        self._refused = False
        self._draining = False

    # Nodes

    def create(self) -> bool:
        """Writes the nodes of both ends; False when the domain is gone already.

        A frontend that is alive (a former store served it) keeps its own
        nodes; it sees InitWait and another instance, and connects again.
        """
        created = run_transaction(self._xenstore, self._create)
        if self._seen:
            self._listener.forget(self.domid, "the frontend has left another store")
        return created

    def remove(self) -> None:
        """Removes the backend's nodes; the frontend's go with its domain."""
        self._xenstore.remove(self.backend.removesuffix("/0"))

    def _create(self, nodes: Transaction) -> bool:
        if nodes.read(f"/local/domain/{self.domid}/name") != self.name:
            return False
        found = self._frontend_state(nodes)
        fresh = found == XenbusState.UNKNOWN
        left = found in (XenbusState.CLOSING, XenbusState.CLOSED)
        self._seen = (found,) if left else ()  # another store, not this one
        self.state = XenbusState.INIT_WAIT
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
            "max-ring-page-order": str(MAX_RING_ORDER),
            "encodings": ",".join(ENCODINGS),
            "instance": f"{self._instance:x}",
            "mark-interval-ms": str(self._config.mark_interval_ms),
            "state": str(int(self.state)),
        }

    # Handshake

    def frontend_changed(self) -> None:
        """Acts on the frontend's state. Raises ``TransportError`` if xenstore fails."""
        state = self._frontend_state(self._xenstore)
        sight: tuple[object, ...] = (state,)
        if state == XenbusState.INITIALISED:  # again, perhaps, and never seen in between
            read = self._xenstore.read
            instance = hexadecimal(read(f"{self.frontend}/instance"))
            sight = state, instance, read(f"{self.frontend}/event-channel")
        if sight == self._seen:
            return
        self._seen = sight
        try:
            self._act(state, sight)
        except (ProtocolViolation, TransportError) as error:
            self._listener.event(self.name, "violation", str(error))
            self.refuse(f"handshake: {error}")

    def _act(self, state: XenbusState, sight: tuple[object, ...]) -> None:
        if state == XenbusState.INITIALISING:
            self._start_over()
        elif state == XenbusState.INITIALISED:
            if sight[1] == self._instance:
                self._start_over()
                self._connect()
        elif state == XenbusState.CONNECTED:
            if self.channel is not None:
                self._listener.event(self.name, "frontend-connected", f"domain {self.domid}")
                if self._draining:
                    self.drain()
        elif state == XenbusState.CLOSING:
            if not (self._draining and self.channel):
                self.release("the frontend closes")
                self._switch(XenbusState.CLOSING)
        elif state == XenbusState.CLOSED:
            self.release("the frontend has closed")
            self._switch(XenbusState.CLOSED)
        elif state == XenbusState.UNKNOWN:
            self.release("the frontend's nodes are gone")

    def _start_over(self) -> None:
        """Ready for a handshake; what the domain holds is kept until its epoch is known."""
        if self.channel is not None:
            self.release("the frontend starts over", keep=True)
        if not (self._refused or self._draining):
            self._switch(XenbusState.INIT_WAIT)

    def _connect(self) -> None:
        if self.state != XenbusState.INIT_WAIT:
            return
        offer = read_offer(self._xenstore, self.frontend, self._config.max_data_pages)
        self.channel = self._open_channel(self.domid, offer)
        life = Life(self.domid, offer.epoch)
        welcome = self._listener.connected(self.name, life, self.channel)
        self._xenstore.write(f"{self.backend}/store-limit", str(welcome.store_limit))
        self._xenstore.write(f"{self.backend}/kept-pages", str(welcome.kept_pages))
        self._switch(XenbusState.CONNECTED)

    def refuse(self, reason: str) -> None:
        """Ends the connection and accepts no other from this domain."""
        self._refused = True
        self.release(reason)
        self._switch(XenbusState.CLOSING)

    def release(self, reason: str, *, keep: bool = False) -> None:
        """Unmaps the domain's pages at once, and drops what it holds unless it is kept."""
        channel, self.channel = self.channel, None
        if channel is not None:
            self._listener.disconnected(self.name, reason, keep=keep)
            channel.close()
        elif not keep:
            self._listener.forget(self.domid, reason)

    def drain(self) -> None:
        """Enters Closing, but serves the frontend on until it is Closed."""
        self._draining = True
        if self.state == XenbusState.CONNECTED:
            self._switch(XenbusState.CLOSING)

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
