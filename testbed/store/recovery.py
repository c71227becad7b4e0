"""What a store finds of the one before it, which may have ended at any instruction.

The domains' rows say what is held. Each is checked down to its block's header;
a row whose page is not there whole stays in its domain's map as damaged, so
that a LOAD of it is answered with an error. Everything that no row reaches is
free. The payloads are not read: their fingerprints are checked at every LOAD
and by ``verify``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from testbed.store.arena import ArenaFull, granules
from testbed.store.domain import Domain
from testbed.store.entries import DAMAGED
from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Malformed
from testbed.store.state import Life, State
from testbed.store.table import SharingTable

__all__ = ["Recovered", "open_table", "recover"]

_UNKNOWN, _SOUND, _LOST = range(3)

log = logging.getLogger("store")


class Recovered(dict[Life, Domain]):
    """The domains that were found, by whose rows they are."""

    damaged = 0
    """Rows whose page was lost, now or in an earlier recovery."""


def open_table(
    capacity_bytes: int, groups: Sequence[str], folder: Path | None
) -> tuple[SharingTable, Recovered]:
    """The table of the state in ``folder``, with all that can be found there.

    Raises ``OSError`` when the folder cannot be used. The caller closes the
    domains' rows and the table's state.
    """
    state = State(capacity_bytes, groups, folder)
    table = SharingTable(state)
    try:
        return table, recover(table)
    except ArenaFull as error:  # no arena of ours looks like this
        state.reject(str(error))
        state.close()
    table = SharingTable(State(capacity_bytes, groups, folder))
    return table, recover(table)


def recover(table: SharingTable) -> Recovered:
    """Fills ``table`` from its state's rows, and tells their domains."""
    state = table.state
    domains = Recovered()
    for life in state.lives():
        rows = state.open_rows(life)
        try:
            domain = Domain(f"domain {life.domid}", life, table, rows)
        except ValueError as error:
            log.error("the rows of domain %d are dropped: %s", life.domid, error)
            rows.close()
            state.drop_rows(life)
            continue
        domains[life] = domain
    survey = _Survey(table)
    found = {life: survey.look(domain) for life, domain in domains.items()}
    table.adopt_pages(survey.reached())
    for page, base in survey.differences():
        table.adopt_base(page, base)
    for life, domain in domains.items():
        pages = [
            (row, page if page != DAMAGED and survey.status[page] == _SOUND else DAMAGED)
            for row, page in found[life]
        ]
        domain.adopt(pages)
        lost = domain.member.damaged
        if lost:
            log.error("%s: %d of %d rows are damaged", domain.name, lost, len(pages))
        domains.damaged += lost
    return domains


class _Survey:
    """Looks at every row, and at each page that one reaches once."""

    def __init__(self, table: SharingTable) -> None:
        self._table = table
        self._records = table.records
        self._end = table.records.ids.found
        self.status = bytearray(self._end)
        """By page id: not looked at, sound, or not there whole."""
        self._wanted = bytearray(self._end)
        self._bases: dict[int, int] = {}
        """Of each page that is kept as a difference: whose."""

    def look(self, domain: Domain) -> list[tuple[int, int]]:
        """The rows in use of ``domain`` and their pages' ids, ``DAMAGED`` where there is none."""
        rows, group = domain.rows, domain.member.group
        used = rows.recover()
        keys = [rows.keys[row] for row in used]
        twice: set[int] = set()
        if len(set(keys)) < len(keys):
            twice = {key for key, count in Counter(keys).items() if count > 1}
        found = []
        for row, key in zip(used, keys, strict=True):
            page = rows.commits[row] >> 32
            sound = 0 < page < self._end and (self.status[page] or self._check(page)) == _SOUND
            if not sound or self._records.groups[page] != group or key in twice:
                page = DAMAGED
            else:
                self._wanted[page] = 1
            found.append((row, page))
        return found

    def differences(self) -> list[tuple[int, int]]:
        """The pages that are kept as differences, with their bases; once ``reached`` was asked."""
        return [both for both in self._bases.items() if self._wanted[both[0]]]

    def reached(self) -> bytearray:
        """Flags by page id: the pages that are there, none over another."""
        records, status, wanted = self._records, self.status, self._wanted
        both = bytearray(wanted)
        for _, base in self.differences():
            both[base] = 1
        sound = [page for page in range(1, self._end) if both[page]]
        sound.sort(key=records.offsets.__getitem__)
        before, end = 0, 0
        for page in sound:
            offset = records.offsets[page]
            if offset < end:
                status[page] = status[before] = _LOST
            before, end = page, max(end, offset + granules(self._table.kept_length(page)))
        for page, base in self._bases.items():
            if status[base] == _LOST:
                status[page] = _LOST
        for page in sound:
            if status[page] == _LOST:
                wanted[page] = 0
        reached = bytearray(wanted)
        for _, base in self.differences():
            reached[base] = 1
        return reached

    def _check(self, page: int) -> int:
        """Looks at a page, and, where it is a difference, at its base."""
        table, records = self._table, self._records
        length = table.kept_length(page)
        whole = table.arena.holds(records.offsets[page], page, length)
        if whole and records.form(page) != Form.RECEIVED:
            whole = self._check_form(page)
        self.status[page] = _SOUND if whole else _LOST
        return self.status[page]

    def _check_form(self, page: int) -> bool:
        records = self._records
        try:
            form, _, kept = self._table.kept(page)
            if not form.has_base:
                return True
            base = Difference.unpack(kept).base
        except (DamagedPage, Malformed):
            return False
        if not 0 < base < self._end or records.has_base(base):
            return False
        if records.groups[base] != records.groups[page]:
            return False
        if (self.status[base] or self._check(base)) != _SOUND:
            return False
        self._bases[page] = base
        return True
