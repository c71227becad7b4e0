"""The frontend's end of a ring in this process, over ``native/front_ring.c``.

For tests and for measurements: a domU's real one is in its kernel.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from testbed.store.errors import TransportError
from testbed.store.protocol import PAGE_SIZE, RESPONSE, ring_entries
from testbed.store.transport.inprocess import SharedMemory

__all__ = ["FRONT_LIBRARY_NAME", "FrontLibrary", "FrontRing"]

FRONT_LIBRARY_NAME = "libpageshare_front.so"


class FrontLibrary:
    """The loaded library, with its functions' types declared."""

    def __init__(self, path: Path) -> None:
        """Raises ``TransportError`` when it is missing or built for another machine."""
        word, pointer = ctypes.c_uint32, ctypes.c_void_p
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise TransportError(f"{path}: {error}") from error
        self.open = library.pageshare_front_open
        self.open.restype, self.open.argtypes = pointer, [pointer, word]
        self.close = library.pageshare_front_close
        self.close.restype, self.close.argtypes = None, [pointer]
        self.send = library.pageshare_front_send
        self.send.argtypes = [pointer, ctypes.c_char_p, word]
        self.receive = library.pageshare_front_receive
        self.receive.argtypes = [pointer, pointer, word]
        self.final_check = library.pageshare_front_final_check
        self.final_check.argtypes = [pointer]


class FrontRing:
    """What a domU grants, and its end of the ring in it."""

    def __init__(self, library: FrontLibrary, nr_data_pages: int = 32, ring_order: int = 0) -> None:
        """Initialises the ring. Raises ``ProtocolViolation`` for numbers that are not allowed."""
        self.shared = SharedMemory(nr_data_pages, ring_order)
        self.entries = ring_entries(ring_order)
        self._library = library
        self._front = ctypes.c_void_p(library.open(self.shared.ring_address, ring_order))
        self._responses = ctypes.create_string_buffer(self.entries * RESPONSE.size)

    def write_page(self, index: int, data: bytes) -> None:
        """Writes ``data`` to the beginning of a data page."""
        start = self.shared.data_offset + index * PAGE_SIZE
        self.shared.memory[start : start + len(data)] = data

    def read_page(self, index: int, length: int) -> bytes:
        """The first ``length`` bytes of a data page."""
        start = self.shared.data_offset + index * PAGE_SIZE
        return self.shared.memory[start : start + length]

    def send(self, *requests: bytes) -> None:
        """Publishes requests, 32 bytes each; there must be room for them."""
        notify = self._library.send(self._front, b"".join(requests), len(requests))
        if notify < 0:
            raise ValueError("the ring is full")
        if notify:
            os.eventfd_write(self.shared.to_store, 1)

    def receive(self) -> list[tuple[int, ...]]:
        """The responses that are there, and a notification at the next one.

        Raises ``ValueError`` when the store's index is impossible.
        """
        count = self._library.receive(self._front, self._responses, self.entries)
        if count < 0:
            raise ValueError("the store's index is impossible")
        self._library.final_check(self._front)
        return list(RESPONSE.iter_unpack(self._responses.raw[: count * RESPONSE.size]))

    def close(self) -> None:
        """Frees the ring's private state and the events."""
        self._library.close(self._front)
        self.shared.close()
