"""What can go wrong in the store, split by who is at fault.

::

    StoreError
     ├── ConfigError         the configuration cannot work; the service does not start
     ├── ProtocolViolation   a frontend broke the protocol; it alone is disconnected
     ├── TransportError      Xen or the native piece refused an operation
     └── DamagedPage         kept bytes are not those that were stored
"""

from __future__ import annotations

__all__ = ["ConfigError", "DamagedPage", "ProtocolViolation", "StoreError", "TransportError"]


class StoreError(Exception):
    """Base of every error that the store raises on purpose."""


class ConfigError(StoreError):
    """One line: which key, what it holds, what is allowed."""


class ProtocolViolation(StoreError):
    """A frontend did what the protocol does not allow."""


class TransportError(StoreError):
    """A grant, an event channel or a xenstore operation failed."""


class DamagedPage(StoreError):
    """The kept bytes are not those that were stored."""
