"""Event channels: ``libxenevtchn`` through ctypes.

Signatures as in Xen 4.17's ``xenevtchn.h``. Pending ports are read from the
device's file descriptor, and written back to unmask them, many at once: that
is all that ``xenevtchn_pending`` and ``xenevtchn_unmask`` do for one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from array import array
from typing import Protocol

from testbed.store.errors import TransportError
from testbed.store.xen.library import failure, load_c

__all__ = ["EventChannels", "XenEventChannels"]

_IOCTL_EVTCHN_RESET = 0x4505  # _IOC(_IOC_NONE, 'E', 5, 0)
_PORTS_AT_ONCE = 64


class EventChannels(Protocol):
    """The event channels of this process."""

    def fileno(self) -> int:
        """Readable when a port is pending."""

    def bind(self, domid: int, remote_port: int) -> int:
        """Connects to a port that ``domid`` offered; the local port."""

    def unbind(self, port: int) -> None:
        """Closes the local port."""

    def notify(self, port: int) -> None:
        """Signals the other side. A peer that is gone is not an error."""

    @property
    def notifier(self) -> tuple[int, int]:
        """Addresses of what ``notify`` calls, and of its first argument."""

    def pending(self) -> array[int] | None:
        """Ports that fired (masked until ``unmask``); None: any may have, some were lost.

        Blocks when nothing is pending: call it when ``fileno`` is readable.
        """

    def unmask(self, ports: array[int]) -> None:
        """Lets ``ports`` fire again."""

    def close(self) -> None:
        """Closes every port."""


class XenEventChannels:
    """``EventChannels`` over ``/dev/xen/evtchn``."""

    def __init__(self) -> None:
        """Opens the device. Raises ``TransportError``."""
        library = load_c("libxenevtchn.so.1")
        pointer, word, number = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
        opening = library.xenevtchn_open
        opening.restype, opening.argtypes = pointer, [pointer, ctypes.c_uint]
        self._close = library.xenevtchn_close
        self._close.restype, self._close.argtypes = number, [pointer]
        self._bind = library.xenevtchn_bind_interdomain
        self._bind.restype, self._bind.argtypes = number, [pointer, word, word]
        self._unbind = library.xenevtchn_unbind
        self._unbind.restype, self._unbind.argtypes = number, [pointer, word]
        self._notify = library.xenevtchn_notify
        self._notify.restype, self._notify.argtypes = number, [pointer, word]
        descriptor = library.xenevtchn_fd
        descriptor.restype, descriptor.argtypes = number, [pointer]
        handle = opening(None, 0)
        if not handle:
            raise failure("xenevtchn_open")
        self._handle = ctypes.c_void_p(handle)
        self._fd = int(descriptor(self._handle))

    def fileno(self) -> int:
        """See ``EventChannels.fileno``."""
        return self._fd

    def bind(self, domid: int, remote_port: int) -> int:
        """See ``EventChannels.bind``. Raises ``TransportError``."""
        port = int(self._bind(self._handle, domid, remote_port))
        if port < 0:
            raise failure(f"bind to port {remote_port} of domain {domid}")
        return port

    def unbind(self, port: int) -> None:
        """See ``EventChannels.unbind``. Raises ``TransportError``."""
        if self._unbind(self._handle, port):
            raise failure(f"unbind of port {port}")

    def notify(self, port: int) -> None:
        """See ``EventChannels.notify``."""
        self._notify(self._handle, port)

    @property
    def notifier(self) -> tuple[int, int]:
        """See ``EventChannels.notifier``."""
        address = ctypes.cast(self._notify, ctypes.c_void_p).value
        assert address
        assert self._handle.value
        return address, self._handle.value

    def pending(self) -> array[int] | None:
        """See ``EventChannels.pending``. Raises ``TransportError``."""
        try:
            return array("I", os.read(self._fd, 4 * _PORTS_AT_ONCE))
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise TransportError(f"read of pending ports: {error}") from error
        fcntl.ioctl(self._fd, _IOCTL_EVTCHN_RESET)
        return None

    def unmask(self, ports: array[int]) -> None:
        """See ``EventChannels.unmask``. Raises ``TransportError``."""
        try:
            os.write(self._fd, ports)
        except OSError as error:
            raise TransportError(f"unmask of {list(ports)}: {error}") from error

    def close(self) -> None:
        """See ``EventChannels.close``."""
        if self._handle.value:
            self._close(self._handle)
            self._handle.value = None
