"""The native piece, ``native/*.c``, through ctypes."""

from __future__ import annotations

import ctypes
import os
from enum import IntEnum
from pathlib import Path

from testbed.store.errors import ProtocolViolation, TransportError
from testbed.store.layout import ConnectionState, LoopState, address_of
from testbed.store.transport.interface import Batch

__all__ = ["LIBRARY_NAME", "BackRing", "Outcome", "RingLibrary"]

LIBRARY_NAME = "libpageshare_ring.so"
_IMPOSSIBLE_INDEX = -1
_NOTIFY = 1 << 16
_ENVIRONMENT = "PAGESHARE_RING_LIBRARY"


class Outcome(IntEnum):
    """What ``serve`` and ``wait`` return, see ``native/loop.c``."""

    VIOLATION = -1
    SERVED = 0
    MORE = 1
    ASIDE = 2
    OTHER = 3


def _search() -> Path:
    override = os.environ.get(_ENVIRONMENT)
    if override:
        return Path(override)
    store = Path(__file__).resolve().parent.parent
    places = (store / "native", store, store.parent, store.parent.parent)
    for folder in places:
        if (folder / LIBRARY_NAME).exists():
            return folder / LIBRARY_NAME
    raise TransportError(
        f"{LIBRARY_NAME} is in none of {', '.join(map(str, places))}: "
        f"build it with 'make -C testbed/store/native', or name it in {_ENVIRONMENT}"
    )


class RingLibrary:
    """The loaded library, with its functions' types declared."""

    def __init__(self, path: Path | None = None) -> None:
        """Loads ``path``, or finds the library beside the package.

        Raises ``TransportError`` when it is missing or built for another machine.
        """
        path = self.path = path or _search()
        try:
            self._declare(ctypes.CDLL(str(path)))
        except (OSError, AttributeError) as error:  # missing, foreign, or of another version
            raise TransportError(f"{path}: {error}") from error

    def _declare(self, library: ctypes.CDLL) -> None:
        word, pointer = ctypes.c_uint32, ctypes.c_void_p
        self.open = library.pageshare_back_open
        self.open.restype, self.open.argtypes = pointer, [pointer, word, pointer, word, pointer]
        self.close = library.pageshare_back_close
        self.close.restype, self.close.argtypes = None, [pointer]
        self.exchange = library.pageshare_back_exchange
        self.exchange.argtypes = [pointer, word, word]
        self._serve = library.pageshare_serve
        self._serve.argtypes = [pointer, ctypes.c_uint64]
        self._wait = library.pageshare_wait
        self._wait.argtypes = [pointer, ctypes.c_int]
        notify = ctypes.cast(library.pageshare_notify_eventfd, pointer).value
        assert notify
        self.notify_eventfd: int = notify
        """Address of a function that signals an eventfd, given as its handle."""
        self.copy_words = library.pageshare_copy_words
        self.copy_words.restype, self.copy_words.argtypes = None, [pointer, pointer, word]

    def serve(self, connection: ConnectionState, end: int) -> int:
        """Gives a connection a turn until the monotonic time ``end`` in nanoseconds."""
        outcome: int = self._serve(ctypes.byref(connection), end)
        return outcome

    def wait(self, loop: LoopState, milliseconds: int) -> int:
        """Waits for events and serves who sent them."""
        outcome: int = self._wait(ctypes.byref(loop), milliseconds)
        return outcome

    def read_words(self, address: int, count: int) -> list[int]:
        """Copies ``count`` 32-bit words out of shared memory, each read once."""
        words = (ctypes.c_uint32 * count)()
        self.copy_words(words, address, count)
        return list(words)


class BackRing:
    """The store's end of one ring. The memory it was given must stay mapped."""

    def __init__(
        self,
        library: RingLibrary,
        batch: Batch,
        ring: int,
        order: int,
        data: int,
        nr_data_pages: int,
    ) -> None:
        """``ring`` and ``data``: addresses of the ring's ``2**order`` pages and the data pages."""
        self._library = library
        self._batch = batch  # its buffers must live as long as the ring
        buffers = (batch.requests, batch.payloads, batch.responses, batch.loads)
        addresses = (ctypes.c_void_p * 4)(*map(address_of, buffers))
        handle = library.open(ring, order, data, nr_data_pages, addresses)
        if not handle:
            raise MemoryError("no memory for a ring")
        self._handle = ctypes.c_void_p(handle)

    @property
    def handle(self) -> int:
        """Its address."""
        return self._handle.value or 0

    def exchange(self, count: int, most: int) -> tuple[int, bool]:
        """See ``Channel.exchange``; also whether the frontend wants an event."""
        result: int = self._library.exchange(self._handle, count, most)
        if result < 0:
            if result == _IMPOSSIBLE_INDEX:
                raise ProtocolViolation("the ring's request index is impossible")
            raise AssertionError(f"{count} responses are not the whole batch")
        return result & ~_NOTIFY, result >= _NOTIFY

    def close(self) -> None:
        """Frees the ring's private state; the shared memory is not touched again."""
        if self._handle.value:
            self._library.close(self._handle)
            self._handle.value = None
