"""One domain's rows: 16 bytes a key, in a region; the row's number is the wire's page id.

::

    | key u64 | generation u32, page u32 |

The key is kept as its domain mixes it for its index (see ``domain.py``).
The second word is the *commit word*: one aligned store makes a row, changes
its page and generation together, or frees it (0; the first word is then the
chain's of the free rows, see ``ids.py``). What it reaches is held; nothing
else says so. Row 0 is none: it holds a magic number and the number of
the sharing group.
"""

from __future__ import annotations

from array import array

from testbed.store.ids import Ids
from testbed.store.region import Region

__all__ = ["Rows"]

_MAGIC = int.from_bytes(b"pgshrows", "little")


class Rows:
    """The rows, as columns, and which of them are free."""

    __slots__ = ("_region", "commits", "ids", "keys")

    def __init__(self, region: Region) -> None:
        """No row is used; see ``recover``."""
        self._region = region
        self.ids = Ids(region)
        self.keys = region.column("Q", 0, 2)
        self.commits = region.column("Q", 1, 2)

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

    def used(self) -> list[int]:
        """The rows whose commit word is not 0, in order."""
        return [row for row, commit in enumerate(self.copy_of_commits()) if commit]

    def copy_of_commits(self) -> array[int]:
        """The commit words of the rows up to the last one in use."""
        column = self._region.copy_of_column("Q", 1, 2, self.ids.end)
        column[0] = 0
        return column

    def recover(self) -> list[int]:
        """Finds the rows in use in a region that was found; the others are free."""
        ids = self.ids
        ids.state.end = ids.found
        used = self.used()
        flags = bytearray(used[-1] + 1 if used else 1)
        for row in used:
            flags[row] = 1
        ids.recover(flags)
        return used

    def close(self) -> None:
        """Unmaps the rows."""
        self._region.close()
