"""What can be wrong in xenstore: one node of the backend holds something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from testbed.store.xen.xenstore import Permission, Transaction, XenStore

__all__ = ["NODES", "LyingXenStore", "draw_node"]

NODES: Mapping[str, tuple[str, ...]] = {
    "protocol-version": ("0", "", "-1", "99999999999999999999", "one"),
    "max-data-pages": ("0", "7", "4294967296", "-1", "pages", ""),
    "max-ring-page-order": ("64", "4294967295", "-1", "order", ""),
    "encodings": ("", "lz5", ",,,,", "raw", "lz4 ", "lz4," * 500),
    "instance": ("0", "", "instance", "fffffffffffffffff", "-1"),
    "mark-interval-ms": ("1", "4294967295", "-1", "often", ""),
    "store-limit": ("0", "", "-1", "18446744073709551615", "9" * 40, "all"),
    "kept-pages": ("0", "", "-1", "4294967295", "some"),
    "state": ("0", "1", "3", "4", "5", "6", "7", "8", "99", "-1", "open", ""),
}
"""The backend's nodes, and what stands in them in place of the truth."""

_BACKEND = "/local/domain/0/backend/pageshare/"


def draw_node(random: Random) -> tuple[str, str]:
    """One node and what it holds."""
    node = random.choice(list(NODES))
    return node, random.choice(NODES[node])


class LyingXenStore:
    """``XenStore`` in which one node of one domain's backend holds what it should not."""

    def __init__(
        self, real: XenStore, victim: str, lie: tuple[str, str] | None, told: Counter[str]
    ) -> None:
        """``victim``: the domain's name; ``lie``: from the start; ``told`` counts."""
        self._real = real
        self._victim = victim
        self._lie = lie
        self._told = told
        self._backend: str | None = None

    def change(self, node: str, value: str) -> None:
        """Changes one node of the victim's backend now, if there is one."""
        if self._backend is not None:
            self._told[f"node-{node}-changed"] += 1
            self._real.write(f"{self._backend}/{node}", value)

    def remove_backend(self) -> None:
        """The victim's backend vanishes."""
        if self._backend is not None:
            self._told["backend-removed"] += 1
            self._real.remove(self._backend)

    def read(self, path: str) -> str | None:
        """See ``Transaction.read``."""
        return self._real.read(path)

    def list(self, path: str) -> list[str]:
        """See ``Transaction.list``."""
        return self._real.list(path)

    def write(self, path: str, value: str) -> None:
        """See ``Transaction.write``."""
        self._real.write(path, self.instead_of(path, value))

    def make(self, path: str, permissions: Sequence[Permission]) -> None:
        """See ``Transaction.make``."""
        self._real.make(path, permissions)

    def remove(self, path: str) -> None:
        """See ``Transaction.remove``."""
        self._real.remove(path)

    def fileno(self) -> int:
        """See ``XenStore.fileno``."""
        return self._real.fileno()

    def watch(self, path: str, token: str) -> None:
        """See ``XenStore.watch``."""
        self._real.watch(path, token)

    def unwatch(self, path: str) -> None:
        """See ``XenStore.unwatch``."""
        self._real.unwatch(path)

    def next_event(self) -> str | None:
        """See ``XenStore.next_event``."""
        return self._real.next_event()

    def begin(self) -> _LyingTransaction:
        """See ``XenStore.begin``."""
        return _LyingTransaction(self, self._real.begin())

    def close(self) -> None:
        """See ``XenStore.close``."""
        self._real.close()

    def instead_of(self, path: str, value: str) -> str:
        """What is written in place of ``value``; counted where it is not true."""
        if not path.startswith(_BACKEND):
            return value
        domid, device, node = path.removeprefix(_BACKEND).split("/")
        backend = f"{_BACKEND}{domid}/{device}"
        if backend != self._backend:
            if self._real.read(f"/local/domain/{domid}/name") != self._victim:
                return value
            self._backend = backend
        if self._lie is None or node != self._lie[0]:
            return value
        self._told[f"node-{node}"] += 1
        return self._lie[1]


class _Begun(Transaction, Protocol):
    def end(self, *, abort: bool) -> bool: ...


class _LyingTransaction:
    def __init__(self, store: LyingXenStore, real: _Begun) -> None:
        self._store = store
        self._real = real
        self.read, self.list = real.read, real.list
        self.make, self.remove = real.make, real.remove

    def write(self, path: str, value: str) -> None:
        self._real.write(path, self._store.instead_of(path, value))

    def end(self, *, abort: bool) -> bool:
        return self._real.end(abort=abort)
