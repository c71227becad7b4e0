"""xenstore, as far as a backend needs it, over Xen's own ``xs`` binding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from testbed.store.errors import TransportError
from testbed.store.xen.library import load_python

__all__ = ["Permission", "Transaction", "XenStore", "XsStore", "run_transaction"]

Permission = tuple[int, bool]
"""Domain id, and whether it may read. The first of a list owns the node (and
may do everything); what it says about reading holds for everybody else."""

_ATTEMPTS = 20
Result = TypeVar("Result")


class Transaction(Protocol):
    """Operations that take effect together, or (outside of one) at once."""

    def read(self, path: str) -> str | None:
        """The value, or None when there is no such node."""

    def list(self, path: str) -> list[str]:
        """The names below ``path``; none when there is no such node."""

    def write(self, path: str, value: str) -> None:
        """Sets the value; a new node has its parent's permissions."""

    def make(self, path: str, permissions: Sequence[Permission]) -> None:
        """Makes an empty node with permissions of its own."""

    def remove(self, path: str) -> None:
        """Removes the node and all below it, if it is there."""


class XenStore(Transaction, Protocol):
    """One connection to xenstored. Every method may raise ``TransportError``."""

    def fileno(self) -> int:
        """Readable when a watch has fired."""

    def watch(self, path: str, token: str) -> None:
        """Fires once at once, then at every change of ``path`` or below."""

    def unwatch(self, path: str) -> None:
        """Ends the watch on ``path``, if there is one."""

    def next_event(self) -> str | None:
        """The token of a watch that has fired, or None; does not block."""

    def begin(self) -> _Begun:
        """Starts a transaction."""

    def close(self) -> None:
        """Ends the connection and its watches."""


class _Begun(Transaction, Protocol):
    def end(self, *, abort: bool) -> bool:
        """Whether it took effect; False when it has to be tried again."""


def run_transaction(xenstore: XenStore, body: Callable[[Transaction], Result]) -> Result:
    """Runs ``body`` in a transaction, again while others interfere; its result."""
    for _ in range(_ATTEMPTS):
        transaction = xenstore.begin()
        try:
            result = body(transaction)
        except BaseException:
            transaction.end(abort=True)
            raise
        if transaction.end(abort=False):
            return result
    raise TransportError(f"a xenstore transaction was disturbed {_ATTEMPTS} times")


@contextmanager
def _errors(what: str, error_class: type[Exception]) -> Iterator[None]:
    try:
        yield
    except error_class as error:
        raise TransportError(f"xenstore: {what}: {error}") from error


class _XsTransaction:
    """``xs`` operations under one transaction handle (empty: none)."""

    def __init__(self, xs: Any, error_class: type[Exception], handle: str) -> None:
        self._xs = xs
        self._error = error_class
        self._handle = handle

    def read(self, path: str) -> str | None:
        with _errors(f"read {path}", self._error):
            value = self._xs.read(self._handle, path)
        return value.decode("ascii", "replace") if isinstance(value, bytes) else value

    def list(self, path: str) -> list[str]:
        with _errors(f"list {path}", self._error):
            names = self._xs.ls(self._handle, path)
        return list(names) if names is not None else []

    def write(self, path: str, value: str) -> None:
        with _errors(f"write {path}", self._error):
            self._xs.write(self._handle, path, value)

    def make(self, path: str, permissions: Sequence[Permission]) -> None:
        listed = [{"dom": domid, "read": int(read)} for domid, read in permissions]
        with _errors(f"make {path}", self._error):
            self._xs.mkdir(self._handle, path)
            self._xs.set_permissions(self._handle, path, listed)

    def remove(self, path: str) -> None:
        with _errors(f"remove {path}", self._error):
            self._xs.rm(self._handle, path)

    def end(self, *, abort: bool) -> bool:
        with _errors("end of a transaction", self._error):
            return bool(self._xs.transaction_end(self._handle, int(abort)))


class XsStore(_XsTransaction):
    """``XenStore`` over ``xen.lowlevel.xs``."""

    def __init__(self) -> None:
        """Connects. Raises ``TransportError`` when xenstored does not answer."""
        module = load_python("xs")
        with _errors("connect", module.Error):
            super().__init__(module.xs(), module.Error, "")
        # The binding tells watches apart by the identity of the token object.
        self._tokens: dict[str, str] = {}

    def fileno(self) -> int:
        """See ``XenStore.fileno``."""
        return int(self._xs.fileno())

    def watch(self, path: str, token: str) -> None:
        """See ``XenStore.watch``."""
        self._tokens[path] = token
        with _errors(f"watch {path}", self._error):
            self._xs.watch(path, token)

    def unwatch(self, path: str) -> None:
        """See ``XenStore.unwatch``."""
        token = self._tokens.pop(path, None)
        if token is not None:
            with _errors(f"unwatch {path}", self._error):
                self._xs.unwatch(path, token)

    def next_event(self) -> str | None:
        """See ``XenStore.next_event``."""
        with _errors("read of a watch", self._error):
            event = self._xs.check_watch()
        return None if event is None else str(event[1])

    def begin(self) -> _XsTransaction:
        """See ``XenStore.begin``."""
        with _errors("start of a transaction", self._error):
            return _XsTransaction(self._xs, self._error, self._xs.transaction_start())

    def close(self) -> None:
        """See ``XenStore.close``."""
        self._xs.close()
