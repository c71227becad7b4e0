"""One domain's rows: 16 bytes a key, in a region; the row's number is the wire's page id.

::

    | key u64 | generation u32, page u32 |

The key is kept as its domain mixes it for its index (see ``domain.py``).
The second word is the *commit word*: one aligned store makes a row, changes
its page and generation together, or frees it (0). What it reaches is held;
nothing else says so. Row 0 is none: it holds a magic number and the number of
the sharing group.
"""

from __future__ import annotations

import sys
from array import array

from testbed.store.arena import ArenaFull
from testbed.store.region import PAGE, Region, pages

__all__ = ["ROW_BYTES", "Rows", "rows_size"]

ROW_BYTES = 16
_MAGIC = int.from_bytes(b"pgshrows", "little")


def rows_size(rows_at_most: int) -> int:
    """Bytes of the region for so many keys."""
    return pages((rows_at_most + 1) * ROW_BYTES)


class Rows:
    """The rows, as columns, and which of them are free."""

    __slots__ = ("_free", "_region", "commits", "end", "keys")

    def __init__(self, region: Region) -> None:
        """No row is used; see ``recover``."""
        self._region = region
        self.keys = region.column("Q", 0, 2)
        self.commits = region.column("Q", 1, 2)
        self._free = array("I")
        self.end = 1
        """One more than the largest row in use."""

    @staticmethod
    def begin(region: Region, group: int) -> None:
        """Makes ``region`` one that holds rows of sharing group ``group``."""
        words = region.column("Q")
        words[1] = group
        words[0] = _MAGIC

    @property
    def group(self) -> int:
        """Number of the sharing group; ``ValueError`` when the region holds no rows."""
        if self.keys[0] != _MAGIC:
            raise ValueError("this is not a file of rows")
        return self.commits[0]

    @property
    def reserved_bytes(self) -> int:
        """Memory of the rows, in whole pages."""
        return pages(self.end * ROW_BYTES)

    @property
    def metadata_bytes(self) -> int:
        """Memory outside of the region."""
        return sys.getsizeof(self._free)

    def take(self) -> int:
        """A free row; ``ArenaFull`` when there is none (more than were promised)."""
        if self._free:
            return self._free.pop()
        row = self.end
        if row >= self._region.size // ROW_BYTES:
            raise ArenaFull("no row is free")
        self.end = row + 1
        return row

    def free(self, row: int) -> None:
        """``row``, whose commit word is 0, may be taken again."""
        self._free.append(row)

    def forget(self) -> None:
        """All are free; their memory is given back."""
        self._free = array("I")
        if self.end * ROW_BYTES > PAGE:
            self._region.discard(ROW_BYTES, self._region.size)
        self.end = 1

    def used(self) -> list[int]:
        """The rows whose commit word is not 0, in order."""
        return [row for row, commit in enumerate(self.copy_of_commits()) if commit]

    def copy_of_commits(self) -> array[int]:
        """The commit words of the rows up to the last one in use."""
        column = self._region.copy_of_column("Q", 1, 2, self.end)
        column[0] = 0
        return column

    def recover(self) -> list[int]:
        """Finds the rows in use in a region that was found; the others are free."""
        self.end = min(self._region.data_end, self._region.size) // ROW_BYTES
        used = self.used()
        self.end = used[-1] + 1 if used else 1
        flags = bytearray(self.end)
        for row in used:
            flags[row] = 1
        self._free = array("I", [row for row in range(self.end - 1, 0, -1) if not flags[row]])
        self._region.discard(self.end * ROW_BYTES, self._region.size)
        return used

    def close(self) -> None:
        """Unmaps the rows."""
        self._region.close()
