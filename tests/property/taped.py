"""A state in memory that can say what its files held after every single write."""

from __future__ import annotations

import ctypes
import functools

from testbed.store.region import Region
from testbed.store.state import State
from testbed.store.transport.native import RingLibrary
from tests.unit.store.support import native_folder

GROUPS = ["a", "b"]


class Tape:
    """Takes the bytes of all files, with their names, after every write while it runs."""

    def __init__(self) -> None:
        self.files: dict[str, Region] = {}
        self.snapshots: list[dict[str, bytes]] = []
        self.running = False

    def cut(self) -> None:
        if self.running:
            now = {name: region.read(0, region.size) for name, region in self.files.items()}
            self.snapshots.append(now)


class TapedColumn:
    """A column whose stores are cut points."""

    def __init__(self, view, tape: Tape) -> None:
        self._view, self._tape = view, tape

    def __getitem__(self, at):
        return self._view[at]

    def __setitem__(self, at, value):
        assert isinstance(at, int), "one machine store at a time"
        self._view[at] = value
        self._tape.cut()


class TapedRegion(Region):
    """Cuts after every store, and in the middle of every copy, from either end."""

    def __init__(self, size: int, tape: Tape) -> None:
        super().__init__(size)
        self._tape = tape

    def column(self, code, first=0, step=1):
        return TapedColumn(super().column(code, first, step), self._tape)

    def write(self, start, data):
        before, middle = self.read(start, start + len(data)), len(data) // 2
        for torn in (data[:middle] + before[middle:], before[:middle] + data[middle:], data):
            super().write(start, torn)
            self._tape.cut()

    def discard(self, start, end):
        super().discard(start, start + (end - start) // 2)
        self._tape.cut()
        super().discard(start, end)
        self._tape.cut()


class TapedState(State):
    """Files are regions by name; ``found`` are those of a store that was killed."""

    def __init__(self, capacity: int, secret: bytes, found: dict[str, bytes] | None = None):
        self.tape = Tape()
        for name, content in (found or {}).items():
            region = TapedRegion(len(content), self.tape)
            Region.write(region, 0, content)
            self.tape.files[name] = region
        super().__init__(capacity, GROUPS)
        self._secret = secret

    def region(self, name, size):
        if name not in self.tape.files:
            self.tape.files[name] = TapedRegion(size, self.tape)
            self.tape.cut()
        return self.tape.files[name]

    def names(self):
        return sorted(self.tape.files)

    def remove(self, name):
        if self.tape.files.pop(name, None):
            self.tape.cut()

    def rename(self, old, new):
        self.tape.files[new] = self.tape.files.pop(old)
        self.tape.cut()


@functools.cache
def taped_library() -> RingLibrary:
    """The native piece, built so that it tells of every write; see ``Listening``."""
    return RingLibrary(native_folder() / "libpageshare_tape.so")


class Listening:
    """While it lasts, what the native piece writes is cut on a tape, write by write."""

    def __init__(self, tape: Tape) -> None:
        self._callback = ctypes.CFUNCTYPE(None)(tape.cut)
        library = ctypes.CDLL(str(native_folder() / "libpageshare_tape.so"))
        self._hook = ctypes.c_void_p.in_dll(library, "pageshare_tape")

    def __enter__(self) -> Listening:
        self._hook.value = ctypes.cast(self._callback, ctypes.c_void_p).value
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.value = None
