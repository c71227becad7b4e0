"""The store's files, read from a copy without the store's code.

::

    header                JSON: layout, secret
    entries               by page id: u64, offset u32, length u16, kind u8, group u8
    arena                 at 8 x offset: length u16, u16, page id u32; then what is kept
    rows-<domid>-<epoch>  one a key: key u64 (times a secret odd number), u32, page id u32

An entry's length, and the low half of its kind, its encoding, are those of the payload
that was sent. The high half is the form in which it is kept (``forms.py``); where that
is not 0, the arena's length is another one.

A row whose second half is not 0 holds a page, and nothing else says so. Row 0 is none.
Whatever does not fit together means that the copy is not of one moment: an error, as a
figure from it would be wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import InfrastructureError
from orchestrator.oracle.forms import Form, base_of, made_again

__all__ = ["KeptPage", "StorePages", "read_regions"]

_LAYOUT = 1
_GRANULE = 8
_ENCODINGS = 16
_OFFSET_BITS = 58
"""Of a key; what is above them is the number of the swap area."""
_WORD = (1 << 64) - 1
_LOST = 0xFFFFFFFF
"""Page id of a row whose page was damaged."""
_ENTRY = np.dtype(
    [
        ("fingerprint", "<u8"),
        ("offset", "<u4"),
        ("length", "<u2"),
        ("kind", "u1"),
        ("group", "u1"),
    ]
)
_ROW = np.dtype([("key", "<u8"), ("generation", "<u4"), ("page", "<u4")])
_ROWS = re.compile(r"rows-([0-9]+)-([0-9a-f]{16})")


@dataclass(frozen=True)
class KeptPage:
    """What the store keeps of one page."""

    form: int
    encoding: int
    """Of the payload that was sent."""
    length: int
    """Of that payload; bytes."""
    kept: bytes


@dataclass(frozen=True)
class StorePages:
    """What the store kept. Every reference is one page that a domain had swapped out."""

    domains: list[str]
    """Of each reference: who holds it."""
    slots: list[int]
    """Of each reference: its slot in that domain's swap area."""
    pages: list[int]
    """Of each reference: its page id."""
    entries: dict[int, KeptPage]
    """By page id: those that somebody holds, and those that others are kept beside."""
    lost: int
    """References whose page was damaged; they are not among the others."""

    @property
    def kept_bytes(self) -> int:
        """Of all entries."""
        return sum(len(entry.kept) for entry in self.entries.values())

    def contents(self) -> dict[int, bytes]:
        """The page of each entry, by page id.

        Raises:
            InfrastructureError: an entry makes no page.
        """
        found: dict[int, bytes] = {}
        for page, entry in sorted(self.entries.items(), key=lambda one: one[1].form >= Form.TWIN):
            found[page] = made_again(entry.form, entry.encoding, entry.kept, found.__getitem__)
        return found


def read_regions(folder: Path, domids: Mapping[str, int]) -> StorePages:
    """Read a copy of the store's files.

    Args:
        domids: Xen's number of each domain, by its name.

    Raises:
        InfrastructureError: they are not whole, or not of one moment.
    """
    secret = _secret(folder)
    entries = np.frombuffer((folder / "entries").read_bytes(), dtype=_ENTRY)
    arena = (folder / "arena").read_bytes()
    domains: list[str] = []
    slots: list[int] = []
    reached: list[int] = []
    lost = 0
    for name, domid in domids.items():
        keys, pages = _rows(folder, domid, secret)
        kept = pages != _LOST
        lost += int(np.count_nonzero(~kept))
        domains += [name] * int(np.count_nonzero(kept))
        slots += _slots(name, keys[kept])
        reached += pages[kept].tolist()
    held = {page: _entry(entries, arena, page) for page in reached}
    bases = {base_of(entry.form, entry.kept) for entry in held.values()} - {0}
    held |= {page: _entry(entries, arena, page) for page in bases}
    return StorePages(domains, slots, reached, held, lost)


def _secret(folder: Path) -> bytes:
    try:
        header = json.loads((folder / "header").read_text(encoding="utf-8"))
        found, secret = header["layout"], bytes.fromhex(header["secret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(f"the copy of the store's files has no header: {error}") from None
    if found != _LAYOUT:
        raise InfrastructureError(f"the store's files have layout {found}, not {_LAYOUT}")
    return secret


def _rows(folder: Path, domid: int, secret: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Keys and page ids of a domain's rows; none where it never was a client."""
    for path in folder.glob(f"rows-{domid}-*"):
        if match := _ROWS.fullmatch(path.name):
            rows = np.frombuffer(path.read_bytes(), dtype=_ROW)[1:]
            used = rows[(rows["generation"] != 0) | (rows["page"] != 0)]
            inverse = pow(_mixer(secret, domid, int(match[2], 16)), -1, 1 << 64)
            return used["key"] * np.uint64(inverse), used["page"]
    return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint32)


def _mixer(secret: bytes, domid: int, epoch: int) -> int:
    number = (domid << 64 | epoch).to_bytes(16, "little")
    digest = hashlib.blake2b(number, digest_size=8, key=secret, person=b"keys").digest()
    return int.from_bytes(digest, "little") | 1


def _slots(name: str, keys: NDArray[np.uint64]) -> list[int]:
    areas = np.unique(keys >> np.uint64(_OFFSET_BITS)).tolist()
    if len(areas) > 1:
        raise InfrastructureError(f"{name}: pages of several swap areas: {areas}")
    found: list[int] = (keys & np.uint64((1 << _OFFSET_BITS) - 1)).tolist()
    return found


def _entry(entries: NDArray[np.void], arena: bytes, page: int) -> KeptPage:
    if not 0 < page < len(entries):
        raise InfrastructureError(f"a row reaches page {page}, and there is none")
    entry = entries[page]
    start, sent = int(entry["offset"]) * _GRANULE, int(entry["length"])
    form, encoding = divmod(int(entry["kind"]), _ENCODINGS)
    header = int.from_bytes(arena[start : start + _GRANULE], "little")
    length = header & 0xFFFF
    kept = arena[start + _GRANULE : start + _GRANULE + length]
    if header >> 32 != page or len(kept) != length or (not form and length != sent):
        raise InfrastructureError(f"page {page} is not where its entry says")
    return KeptPage(form, encoding, sent, kept)
