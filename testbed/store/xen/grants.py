"""Mapping pages that a domU granted: ``libxengnttab`` through ctypes.

Signatures as in Xen 4.17's ``xengnttab.h``.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from typing import Protocol

from testbed.store.errors import TransportError
from testbed.store.xen.library import failure, load_c

__all__ = ["GrantTable", "XenGrantTable"]


class GrantTable(Protocol):
    """Maps and unmaps grants. Addresses are this process's."""

    def map_pages(self, domid: int, references: Sequence[int], *, writable: bool) -> int:
        """Maps pages one behind the other; address of the first."""

    def unmap(self, address: int, pages: int) -> None:
        """Undoes one map call."""

    def close(self) -> None:
        """Unmaps what is left."""


class XenGrantTable:
    """``GrantTable`` over ``/dev/xen/gntdev``."""

    def __init__(self) -> None:
        """Opens the device. Raises ``TransportError``."""
        library = load_c("libxengnttab.so.1")
        pointer, word, number = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
        words = ctypes.POINTER(ctypes.c_uint32)
        opening = library.xengnttab_open
        opening.restype, opening.argtypes = pointer, [pointer, ctypes.c_uint]
        self._close = library.xengnttab_close
        self._close.restype, self._close.argtypes = number, [pointer]
        self._map = library.xengnttab_map_domain_grant_refs
        self._map.restype, self._map.argtypes = pointer, [pointer, word, word, words, number]
        self._unmap = library.xengnttab_unmap
        self._unmap.restype, self._unmap.argtypes = number, [pointer, pointer, word]
        handle = opening(None, 0)
        if not handle:
            raise failure("xengnttab_open")
        self._handle = ctypes.c_void_p(handle)

    def map_pages(self, domid: int, references: Sequence[int], *, writable: bool) -> int:
        """See ``GrantTable.map_pages``. Raises ``TransportError``."""
        count = len(references)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        array = (ctypes.c_uint32 * count)(*references)
        address = self._map(self._handle, count, domid, array, protection)
        if not address:
            raise failure(f"map of {count} grants of domain {domid}")
        return int(address)

    def unmap(self, address: int, pages: int) -> None:
        """See ``GrantTable.unmap``. Raises ``TransportError``."""
        if self._unmap(self._handle, address, pages):
            raise failure(f"unmap of {pages} pages")

    def close(self) -> None:
        """See ``GrantTable.close``."""
        if self._handle.value:
            if self._close(self._handle):
                raise TransportError("xengnttab_close failed")
            self._handle.value = None
