"""A file mapped whole: the only way by which the store writes to what outlives it.

A process that is killed leaves its mapped files as its last store instruction
left them: the pages belong to the file, not to the process. So what counts
after a kill is the *program order* of the writes made here, nothing else.

* An item of a view from ``column`` is one aligned machine store of its width
  (CPython copies an item of a native format with one move).
* ``write`` is a plain copy: a kill may tear it anywhere.

Files are sparse and mapped at their full size from the start: a part that was
never written takes no memory. Reading such a part *through the mapping* would
give it memory on tmpfs, so whoever maps an old file asks ``data_end`` first.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from testbed.store.layout import address_of

__all__ = ["PAGE", "Column", "MakeRegion", "Region", "pages"]

PAGE = mmap.PAGESIZE


class Column(Protocol):
    """Integers of one width at a fixed distance; a ``memoryview`` is one."""

    def __getitem__(self, at: int, /) -> int:
        """The integer at index ``at``."""

    def __setitem__(self, at: int, value: int, /) -> None:
        """Stores it with one machine instruction."""


def pages(size: int) -> int:
    """``size`` bytes rounded up to whole memory pages."""
    return -(-size // PAGE) * PAGE


class Region:
    """``size`` bytes (rounded up to pages) of a file, or of anonymous memory."""

    def __init__(self, size: int, path: Path | None = None) -> None:
        """Maps ``path``, made where it is missing and enlarged where it is shorter.

        Raises ``OSError`` when the file cannot be opened, enlarged or mapped.
        """
        self.size = pages(size)
        self._views: list[memoryview] = []
        self._data_end = self.size
        if path is None:
            self._memory = mmap.mmap(-1, self.size)
            return
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(fd).st_size < self.size:
                os.ftruncate(fd, self.size)
            self._data_end = _data_end(fd, self.size)
            self._memory = mmap.mmap(fd, self.size)
        finally:
            os.close(fd)

    @property
    def address(self) -> int:
        """Where it is mapped, for the native request loop."""
        return address_of(self._memory)

    @property
    def data_end(self) -> int:
        """Bytes from the start behind which nothing had been written when it was mapped.

        Of anonymous memory nobody knows: all of it.
        """
        return self._data_end

    def column(self, code: str, first: int = 0, step: int = 1) -> Column:
        """Every ``step``-th integer of format ``code`` (as in ``struct``) from ``first`` on."""
        whole = memoryview(self._memory)
        words = whole.cast(code)  # type: ignore[call-overload]
        view: memoryview = words[first::step]
        self._views += (view, words, whole)
        return view

    def copy_of_column(self, code: str, first: int, step: int, count: int) -> array[int]:
        """The first ``count`` integers of that column as they are now."""
        copy = array(code)
        with memoryview(self._memory) as whole:
            copy.frombytes(whole.cast(code)[first::step][:count].tobytes())  # type: ignore[call-overload]
        return copy

    def read(self, start: int, end: int) -> bytes:
        """A copy of the bytes from ``start`` to ``end``."""
        return self._memory[start:end]

    def write(self, start: int, data: bytes) -> None:
        """Copies ``data`` to ``start``."""
        self._memory[start : start + len(data)] = data

    def discard(self, start: int, end: int) -> None:
        """Gives the memory of the whole pages in between back; they read as zeros then."""
        start, end = pages(start), pages(end)
        if start < end:
            with contextlib.suppress(OSError):  # a file system that cannot punch holes
                self._memory.madvise(mmap.MADV_REMOVE, start, end - start)

    def close(self) -> None:
        """Unmaps it; the file stays as it is. Views that it gave must not be used again."""
        for view in self._views:
            view.release()
        self._views.clear()
        self._memory.close()


MakeRegion = Callable[[str, int], Region]
"""Opens the file of this name in the state's folder, with at least so many bytes."""


def _data_end(fd: int, size: int) -> int:
    """Where the last extent ends that was ever written to."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # no data behind ``end``
            return end
        end = os.lseek(fd, start, os.SEEK_HOLE)
    return size
