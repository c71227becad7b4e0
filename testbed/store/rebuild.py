"""From what is kept of an entry to its page of 4096 bytes, whatever the form."""

from __future__ import annotations

from typing import Protocol

import lz4.block
import xxhash

from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Malformed, Recompressed, unpack
from testbed.store.protocol import PAGE_SIZE, Encoding
from testbed.store.secondlook.shifts import Unshiftable
from testbed.store.secondlook.twins import PythonTwins, Twins
from testbed.store.secondlook.zstd import Zstd, ZstdError, unzip_stranger

__all__ = ["Kept", "Rebuilder", "Undecodable", "Unmakable", "decode"]

_CHECK = 0xFFFFFFFF


class Undecodable(ValueError):
    """A payload that is no page: what a domU stores is its own affair."""


class Unmakable(ValueError):
    """What was kept stands for no page: its bytes have changed, or its base's."""


class Kept(Protocol):
    """Where the kept bytes come from: the table."""

    def kept(self, page: int) -> tuple[Form, int, bytes]:
        """Form, encoding of the payload as it was sent, and what is kept of it."""

    def seed_of(self, page: int) -> int:
        """Seed of the digests of pages of its sharing group."""


def decode(encoding: int, payload: bytes) -> bytes:
    """The page that a domU's payload stands for; raises ``Undecodable``.

    The payload is a stranger's: no more than a page is ever made of it.
    """
    try:
        if encoding == Encoding.LZ4:
            page = lz4.block.decompress(payload, uncompressed_size=PAGE_SIZE)
        elif encoding == Encoding.ZSTD:
            page = unzip_stranger(payload)
        elif encoding == Encoding.RAW:
            page = payload
        else:
            raise Undecodable(f"encoding {encoding}")
    except (lz4.block.LZ4BlockError, ZstdError) as error:
        raise Undecodable(str(error)) from error
    if len(page) != PAGE_SIZE:
        raise Undecodable(f"a page of {len(page)} bytes")
    return bytes(page)


class Rebuilder:
    """Makes pages of what a table keeps."""

    def __init__(self, table: Kept) -> None:
        """``twins`` may be replaced by what is faster."""
        self._table = table
        self.twins: Twins = PythonTwins()
        self.zstd = Zstd()

    def check(self, page: int, content: bytes) -> int:
        """32 bits that tell whether ``content`` is what entry ``page`` was made of."""
        return xxhash.xxh3_64_intdigest(content, self._table.seed_of(page)) & _CHECK

    def content(self, page: int) -> bytes:
        """The page kept as entry ``page``.

        Raises ``DamagedPage`` if bytes have changed, its base's included, and
        ``Undecodable`` if what the domU sent is no page.
        """
        form, encoding, kept = self._table.kept(page)
        if form == Form.RECEIVED:
            return decode(encoding, kept)
        try:
            what = unpack(form, kept)
            content = self.made_of(what)
        except (Malformed, Unmakable, Undecodable) as error:
            raise DamagedPage(f"page {page}: {error}") from error
        if len(content) != PAGE_SIZE or self.check(page, content) != what.check:
            raise DamagedPage(f"page {page}")
        return content

    def made_of(self, what: Recompressed | Difference) -> bytes:
        """What ``what`` stands for, unchecked.

        Raises ``Unmakable`` where it stands for nothing, and what ``content`` of its
        base raises.
        """
        try:
            if isinstance(what, Recompressed):
                return self.zstd.unzip(what.frame)
            if self._table.kept(what.base)[0].has_base:
                raise Unmakable(f"its base {what.base} is a difference itself")
            content = self.twins.shifted(self.content(what.base), what.runs)
            return self.zstd.unzip_beside(content, what.frame) if what.frame else content
        except (Unshiftable, ZstdError) as error:
            raise Unmakable(str(error)) from error
