"""Finds the configured domains in xenstore and serves their event channels."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from functools import partial

from testbed.store.config import StoreConfig
from testbed.store.errors import StoreError
from testbed.store.transport.interface import Batch, Listener, Source
from testbed.store.transport.native import RingLibrary
from testbed.store.xen.backend import Backend
from testbed.store.xen.channel import XenChannel
from testbed.store.xen.domains import DomainList, XcDomainList
from testbed.store.xen.events import EventChannels, XenEventChannels
from testbed.store.xen.grants import GrantTable, XenGrantTable
from testbed.store.xen.offer import Offer
from testbed.store.xen.xenstore import XenStore, XsStore

__all__ = ["XenEdge", "make_edge"]

_SCAN = "scan"
_STATE = "state:"
_SPECIAL = ("@introduceDomain", "@releaseDomain")

log = logging.getLogger("store")


def make_edge(config: StoreConfig, batch: Batch) -> XenEdge:
    """The edge of a real dom0. Raises ``TransportError`` when Xen is not there."""
    with contextlib.ExitStack() as stack:
        library = RingLibrary()
        domains = XcDomainList()
        events = XenEventChannels()
        stack.callback(events.close)
        grants = XenGrantTable()
        stack.callback(grants.close)
        edge = XenEdge(config, batch, library, XsStore(), grants, events, domains)
        stack.pop_all()
    return edge


class XenEdge:
    """Implements ``Edge``. Domains are known by name; ids come and go."""

    def __init__(
        self,
        config: StoreConfig,
        batch: Batch,
        library: RingLibrary,
        xenstore: XenStore,
        grants: GrantTable,
        events: EventChannels,
        domains: DomainList,
    ) -> None:
        """Takes over ``xenstore``, ``grants`` and ``events``: ``close`` closes them."""
        self._config = config
        self._batch = batch
        self.library = library
        self._xenstore = xenstore
        self._grants = grants
        self._events = events
        self._domains = domains
        self._listener: Listener | None = None
        self._backends: dict[int, Backend] = {}
        self._ports: dict[int, str] = {}
        self._instance = 1 + secrets.randbelow((1 << 64) - 1)  # 0: none
        self._draining = False

    def start(self, listener: Listener) -> None:
        """See ``Edge.start``. The watches fire at once, which is the first scan."""
        self._listener = listener
        for special in _SPECIAL:
            self._xenstore.watch(special, _SCAN)

    def sources(self) -> Iterable[Source]:
        """See ``Edge.sources``."""
        return (
            (self._xenstore.fileno(), self._watch_fired),
            (self._events.fileno(), self._ports_fired),
        )

    def events_fd(self) -> int | None:
        """See ``Edge.events_fd``."""
        return self._events.fileno()

    def disconnect(self, name: str, reason: str) -> None:
        """See ``Edge.disconnect``."""
        for backend in self._backends.values():
            if backend.name == name:
                with self._logged(backend):
                    backend.refuse(reason)

    def drain(self) -> None:
        """See ``Edge.drain``."""
        self._draining = True
        for backend in self._backends.values():
            with self._logged(backend):
                backend.drain()

    def close(self) -> None:
        """See ``Edge.close``: xenstore stays as a killed store would leave it."""
        for backend in self._backends.values():
            with self._logged(backend):
                backend.release("the store stops", keep=True)
        self._backends.clear()
        self._grants.close()
        self._events.close()
        self._xenstore.close()

    # xenstore

    def _watch_fired(self) -> None:
        scan = False
        changed: dict[int, None] = {}
        while (token := self._xenstore.next_event()) is not None:
            if token == _SCAN:
                scan = True
            else:
                changed[int(token.removeprefix(_STATE))] = None
        for domid in changed:
            backend = self._backends.get(domid)
            if backend is not None:
                with self._logged(backend):
                    backend.frontend_changed()
        if scan:
            try:
                self._remove_ended()
                self._forget_ended()
                if not self._draining:
                    self._adopt_new()
            except StoreError as error:
                log.error("looking for domains: %s", error)

    def _remove_ended(self) -> None:
        for domid, backend in list(self._backends.items()):
            reason = self._domains.end_of(domid)
            if reason is None:
                continue
            del self._backends[domid]
            with self._logged(backend):
                backend.release(reason)
                self._xenstore.unwatch(f"{backend.frontend}/state")
                backend.remove()

    def _forget_ended(self) -> None:
        """Drops what a former store left of domains that will not come back."""
        assert self._listener is not None
        names = {domain.name for domain in self._config.domains}
        for domid in self._listener.waiting():
            if domid in self._backends:
                continue
            reason = self._domains.end_of(domid)
            if reason is None:
                name = self._xenstore.read(f"/local/domain/{domid}/name")
                if name is None or name in names:
                    continue
                reason = f"the domain is called {name!r:.40}, which is not served"
            self._listener.forget(domid, reason)

    def _adopt_new(self) -> None:
        configured = {domain.name: domain for domain in self._config.domains}
        for text in self._xenstore.list("/local/domain"):
            domid = int(text) if text.isdigit() else 0
            if domid == 0 or domid in self._backends:
                continue
            name = self._xenstore.read(f"/local/domain/{domid}/name")
            if name not in configured or self._domains.end_of(domid) is not None:
                continue
            if any(backend.name == name for backend in self._backends.values()):
                self._tell(name, "refused", f"domain {domid} has the name of one that is alive")
                continue
            self._adopt(domid, name)

    def _adopt(self, domid: int, name: str) -> None:
        assert self._listener is not None
        settings = self._config.domain(name)
        open_channel = partial(self._open_channel, name)
        backend = Backend(
            self._xenstore,
            self._config,
            settings,
            domid,
            open_channel,
            self._listener,
            self._instance,
        )
        with self._logged(backend):
            if not backend.create():
                return
            # without its watch it would be there and never be served; so it is found again
            self._xenstore.watch(f"{backend.frontend}/state", f"{_STATE}{domid}")
            self._backends[domid] = backend
            self._tell(name, "introduced", f"domain {domid}")

    def _open_channel(self, name: str, domid: int, offer: Offer) -> XenChannel:
        channel = XenChannel(self.library, self._batch, self._grants, self._events, domid, offer)
        self._ports = {port: other for port, other in self._ports.items() if other != name}
        self._ports[channel.port] = name
        return channel

    # Event channels

    def _ports_fired(self) -> None:
        assert self._listener is not None
        ports = self._events.pending()
        if ports is None:
            for name in list(self._ports.values()):
                self._listener.ready(name)
            return
        for port in ports:
            if port in self._ports:
                self._listener.ready(self._ports[port])
        self._events.unmask(ports)

    # Inside

    def _tell(self, name: str, event: str, detail: str) -> None:
        assert self._listener is not None
        self._listener.event(name, event, detail)

    @contextlib.contextmanager
    def _logged(self, backend: Backend) -> Iterator[None]:
        """One domain's trouble with Xen is not the others'."""
        try:
            yield
        except StoreError as error:
            log.error("%s (domain %d): %s", backend.name, backend.domid, error)
