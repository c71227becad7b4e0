"""Which domains live: the hypervisor's list, through Xen's ``xc`` binding."""

from __future__ import annotations

import errno
from typing import Any, Protocol

from testbed.store.errors import TransportError
from testbed.store.xen.library import load_python

__all__ = ["DomainList", "XcDomainList"]

_GONE = "the domain is gone"
_SUSPENDED = 2  # SHUTDOWN_suspend: may be resumed


class DomainList(Protocol):
    """What xenstore cannot tell for certain: whether a domain has ended."""

    def end_of(self, domid: int) -> str | None:
        """Why ``domid`` will never run again, or None when it may."""


class XcDomainList:
    """``DomainList`` over ``xen.lowlevel.xc``."""

    def __init__(self) -> None:
        """Opens the hypercall interface. Raises ``TransportError``."""
        module = load_python("xc")
        self._error: type[Exception] = module.Error
        try:
            self._xc: Any = module.xc()
        except module.Error as error:
            raise TransportError(f"the hypercall interface: {error}") from error

    def end_of(self, domid: int) -> str | None:
        """See ``DomainList.end_of``. Raises ``TransportError``."""
        try:
            found = self._xc.domain_getinfo(domid, 1)
        except self._error as error:
            if error.args and error.args[0] == errno.ESRCH:  # and none with a larger id
                return _GONE
            raise TransportError(f"domain {domid}: {error}") from error
        if not found or found[0].get("domid", found[0].get("dom")) != domid:
            return _GONE
        info = found[0]
        if info["dying"]:
            return "the domain is being destroyed"
        if info["shutdown"] and info["shutdown_reason"] != _SUSPENDED:
            return f"the domain has shut down (reason {info['shutdown_reason']})"
        return None
