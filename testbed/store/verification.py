"""Recomputes everything that is derived, and reads every page, a slice at a time.

Reference counts and accounts are compared on copies, made in one moment, of
the rows' commit words and of the tallies. The pages are read as they are when
their turn comes. So requests may be served between two slices.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from testbed.store.arena import GRANULE, granules
from testbed.store.domain import Domain
from testbed.store.entries import DAMAGED, ENCODING_BITS
from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Malformed
from testbed.store.members import Counts
from testbed.store.rebuild import Undecodable
from testbed.store.rekept import FormTotals
from testbed.store.table import SharingTable

__all__ = ["problems", "verification"]

_ROWS_AT_ONCE = 2048
_PAGES_AT_ONCE = 64
_MOST_PROBLEMS = 50

Slices = Iterator[dict[str, Any] | None]


def problems(table: SharingTable, domains: Iterable[Domain]) -> list[str]:
    """What does not agree, looked for in one go."""
    *_, answer = verification(table, domains)
    assert answer is not None
    found: list[str] = answer["problems"]
    return found


def verification(table: SharingTable, domains: Iterable[Domain]) -> Slices:
    """Yields None after each slice, and the answer at the end.

    The answer: ``ok``, ``problems`` (the first 50), and what was looked at:
    ``pages`` and their payload's ``bytes``; ``entries`` that there are.
    """
    found = _walk(table)
    copies = _Copies(table, domains)
    yield None
    for _ in copies.recount(found):
        yield None
    pages = size = 0
    for first in range(1, copies.end, _PAGES_AT_ONCE):
        for page in range(first, first + _PAGES_AT_ONCE):
            length = table.length_if_held(page)
            if not length:
                continue
            pages += 1
            size += length
            found += _problems_of(table, page)
        yield None
    yield {
        "ok": not found,
        "entries": len(table),
        "pages": pages,
        "bytes": size,
        "problems": found[:_MOST_PROBLEMS],
    }


def _problems_of(table: SharingTable, page: int) -> list[str]:
    """What is wrong with what is kept of ``page``, which is held."""
    found = []
    try:
        table.read(page)
        form, _, kept = table.kept(page)
        base = Difference.unpack(kept).base if form.has_base else 0
        if base != table.rekept.base(page):
            found.append(f"page {page}: it is kept beside another base than is known")
    except (DamagedPage, Malformed, Undecodable):
        found.append(f"page {page}: its bytes have changed")
    if not table.block_is_whole(page):
        found.append(f"page {page}: its block says otherwise")
    return found


def _walk(table: SharingTable) -> list[str]:
    """The arena from end to end, against the entries and both tallies."""
    arena = table.arena
    blocks = payload = size = strayed = 0
    for offset, owner, length in arena.blocks_in_use():
        blocks += 1
        payload += length
        size += granules(length)
        strayed += table.block_of(owner) != offset
    found = []
    if strayed or blocks != len(table) or blocks != arena.blocks:
        found.append(f"{len(table)} entries, {blocks} blocks, {strayed} of them nobody's")
    if not payload == table.payload_bytes == arena.payload_bytes:
        found.append(
            f"payload bytes: blocks {payload}, table {table.payload_bytes}, "
            f"arena {arena.payload_bytes}"
        )
    if size * GRANULE != arena.rounded_bytes:
        found.append(f"blocks take {size * GRANULE} bytes, not {arena.rounded_bytes}")
    return found


class _Tallies(NamedTuple):
    """What the books say of one domain, and its rows."""

    name: str
    commits: array[int]
    counts: Counts
    keys: int
    references: int
    charged: int
    distinct: int
    damaged: int


class _Copies:
    """The rows and the tallies of one moment."""

    def __init__(self, table: SharingTable, domains: Iterable[Domain]) -> None:
        self._sharers, self._lengths = table.columns()
        self._lost = table.charge(DAMAGED)
        self._totals = {form: replace(one) for form, one in table.rekept.totals.items()}
        self._kinds = table.records.copy_of_kinds(table.records.ids.end)
        self._kept, self._bases, self._differences = table.rekept.copies()
        self.end = len(self._sharers)
        self._domains = [
            _Tallies(
                domain.name,
                domain.rows.copy_of_commits(),
                Counts(domain.member.counts),
                len(domain),
                domain.member.references,
                domain.charged_bytes,
                domain.member.distinct_bytes,
                domain.member.damaged,
            )
            for domain in domains
        ]

    def recount(self, found: list[str]) -> Iterator[None]:
        """Every reference and charge, from the commit words."""
        holders = array("H", bytes(2 * self.end))
        for books in self._domains:
            counts, rows, missing, charged, distinct = Counts(), 0, 0, 0, 0
            for at, commit in enumerate(books.commits):
                if commit:
                    rows += 1
                    page = commit >> 32
                    length = self._lengths[page] if page < self.end else 0
                    if page == DAMAGED:
                        missing += 1
                        charged += self._lost
                    elif not length:
                        found.append(f"{books.name}: row {at} reaches page {page}")
                    else:
                        charged += length
                        if not counts.add(page):
                            distinct += length
                            holders[page] += 1
                if not at % _ROWS_AT_ONCE:
                    yield
            if counts != books.counts:
                found.append(f"{books.name}: its references are counted wrong")
            if (rows, rows, missing) != (books.keys, books.references, books.damaged):
                found.append(
                    f"{books.name}: {rows} rows, {books.keys} keys, {books.references} references, "
                    f"{missing} damaged, {books.damaged} tallied"
                )
            if (charged, distinct) != (books.charged, books.distinct):
                found.append(
                    f"{books.name}: charged {books.charged} and {books.distinct} distinct, "
                    f"holds {charged} and {distinct}"
                )
            yield
        for page in self._count_differences(found):
            holders[page] += 1
        for page, sharers in enumerate(self._sharers):
            if sharers != holders[page]:
                found.append(f"page {page}: {sharers} sharers, {holders[page]} holders")

    def _count_differences(self, found: list[str]) -> list[int]:
        """The bases that there are, each once, from what is known of the differences."""
        counts = Counts()
        totals: dict[Form, FormTotals] = {form: FormTotals() for form in self._totals}
        for page, kept in enumerate(self._kept):
            if kept:
                mine = totals[Form(self._kinds[page] >> ENCODING_BITS)]
                mine.entries += 1
                mine.received_bytes += self._lengths[page]
                mine.kept_bytes += kept
            if base := self._bases[page]:
                counts.add(base)
        if counts != self._differences:
            found.append("the differences from each base are counted wrong")
        if totals != self._totals:
            found.append(f"pages by form: {totals}, tallied {self._totals}")
        return sorted(set(filter(None, self._bases)))
