"""The second look: pages that nobody has used for a while are kept smaller.

One cold page at a time is made of its entry and compared with what else its
sharing group holds. It becomes a difference where another page is its twin but
for the pointers, and a candidate for later ones where none is; else it is
compressed once more, by what takes longer and less room. A page is left as it was
sent unless enough is gained, and what is kept is made into the page again once
before it counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from testbed.store.arena import ArenaFull
from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Recompressed
from testbed.store.rebuild import Undecodable
from testbed.store.secondlook.budget import Budget
from testbed.store.secondlook.candidates import Candidates
from testbed.store.secondlook.recent import Recent
from testbed.store.secondlook.settings import Settings
from testbed.store.secondlook.shifts import Unshiftable
from testbed.store.table import SharingTable

__all__ = ["SecondLook", "worth_it"]

_MASKED = 0xFE
"""In place of an encoding, for digests of pages without their pointers."""


def worth_it(before: int, after: int) -> bool:
    """Whether keeping ``after`` bytes in place of ``before`` is: an eighth, and 32 bytes."""
    return before - after >= max(32, before // 8)


class SecondLook:
    """Looks at one cold page of a table after the other, within a budget."""

    def __init__(
        self,
        table: SharingTable,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """From here on the table notes which pages are used."""
        self._table = table
        self._settings = settings
        self._clock = clock
        self._recent = table.recent = Recent(table.table_state, table.records.ids.capacity)
        self._hand = 1
        self._aged = clock()
        self._twins = Candidates()
        self.budget = Budget(settings.cpu_share, settings.pages_per_second, clock)
        self.outcomes: Counter[str] = Counter()
        """What became of the pages that were looked at."""

    def close(self) -> None:
        """The table does not note any more which pages are used."""
        self._recent.close()
        self._table.recent = None

    @property
    def metadata_bytes(self) -> int:
        """Memory that it takes, beside what the table knows of kept forms."""
        return self._recent.metadata_bytes + self._twins.metadata_bytes

    def figures(self) -> dict[str, object]:
        """What it did and what that took since the store started."""
        return {"outcomes": dict(self.outcomes), "cpu_seconds": self.budget.spent_seconds}

    def wait(self) -> float | None:
        """Seconds until ``step`` may be called; None while no page is cold.

        In that case ask again when pages age, which is what ``ages_in`` tells.
        """
        if not self._find():
            return None
        return self.budget.wait()

    def ages_in(self) -> float:
        """Seconds until pages age."""
        return max(0.0, self._aged + self._settings.cold_seconds - self._clock())

    def step(self) -> None:
        """Looks at one cold page, if there is one."""
        page = self._find()
        if page:
            with self.budget.page():
                self.look(page)
                self._hand = page + 1

    def _find(self) -> int:
        """The next cold page, or 0."""
        end = self._table.records.ids.end
        self._recent.grow(end)
        page = self._recent.next_cold(self._hand, end)
        if page < 0 and not self.ages_in():
            self._aged = self._clock()
            self._recent.age()
            page = self._recent.next_cold(1, end)
        return max(page, 0)

    def look(self, page: int) -> None:
        """Looks at ``page``, whatever its age and the budget."""
        self._recent.grow(page + 1)
        self.outcomes[self._look(page)] += 1
        self._recent.seen(page)

    def _look(self, page: int) -> str:
        """Keeps ``page`` smaller, if that can be; in a word, what came of it."""
        table = self._table
        self._twins.discard(page)  # it may be of an earlier page of this id
        if not table.length_if_held(page):
            return "free"
        if Form(table.records.form(page)).has_base:
            return "difference"
        try:
            content = table.rebuilder.content(page)
        except Undecodable:
            return "undecodable"
        except DamagedPage:
            return "damaged"
        if self._settings.pointers and self._find_twin(page, content):
            return "twin"
        if self._settings.recompress and self._recompress(page, content):
            return "recompressed"
        return "alone"

    def _recompress(self, page: int, content: bytes) -> bool:
        """Keeps ``page`` as zstd makes it, where that is less than what is kept now."""
        if self._table.records.form(page) == Form.RECOMPRESSED:
            return False
        rebuilder = self._table.rebuilder
        again = Recompressed(rebuilder.check(page, content), rebuilder.zstd.zip(content))
        return rebuilder.zstd.unzip(again.frame) == content and self._rekeep(page, again)

    def _find_twin(self, page: int, content: bytes) -> bool:
        """Keeps ``page`` as a difference from a twin; else it may be one for others."""
        table, group = self._table, self._table.records.groups[page]
        seed = table.seed(group, _MASKED)
        masked = table.rebuilder.twins.mask(content, seed)
        if not masked.pointers:
            return False
        if not table.rekept.bases[page]:
            for base in self._twins.find(masked.digest):
                if self._keep_as_difference(page, content, base):
                    return True
        self._twins.add(page, masked.digest)
        return False

    def _keep_as_difference(self, page: int, content: bytes, base: int) -> bool:
        table = self._table
        if not self._may_be_base(page, base):
            self._twins.discard(base)
            return False
        twins, before = table.rebuilder.twins, table.kept_length(page)
        try:
            known = table.rebuilder.content(base)
            runs = twins.runs(known, content, before)
            if runs is None or twins.shifted(known, runs) != content:
                return False
        except (DamagedPage, Undecodable, Unshiftable):
            self._twins.discard(base)
            return False
        check = table.rebuilder.check(page, content)
        return self._rekeep(page, Difference(check, base, runs, b""))

    def _may_be_base(self, page: int, base: int) -> bool:
        table = self._table
        return bool(
            base != page
            and table.length_if_held(base)
            and table.records.groups[base] == table.records.groups[page]
            and not Form(table.records.form(base)).has_base
        )

    def _rekeep(self, page: int, what: Difference | Recompressed) -> bool:
        if not worth_it(self._table.kept_length(page), len(what.pack())):
            return False
        try:
            self._table.rekeep(page, what)
        except ArenaFull:
            return False
        return True
