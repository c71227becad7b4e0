"""The second look: pages that nobody has used for a while are kept smaller.

One page at a time is made of its entry and compared with what else its sharing
group holds. Where another page is its twin but for the pointers, it becomes a
difference from that: the *quick look*. What is still not used some time later is
compressed once more, beside a page that resembles it, or alone, whichever takes
less room: the *thorough look*. It comes later, since it costs more, and since a
page that is beside another one cannot be the base of a twin that comes after it.

A page is left as it was sent unless enough is gained, and what is kept is made
into the page again once before it counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from testbed.store.arena import ArenaFull
from testbed.store.errors import DamagedPage
from testbed.store.forms import Difference, Form, Recompressed
from testbed.store.rebuild import Undecodable, Unmakable
from testbed.store.secondlook.budget import Budget
from testbed.store.secondlook.candidates import Candidates
from testbed.store.secondlook.recent import Recent
from testbed.store.secondlook.settings import Settings
from testbed.store.table import SharingTable

__all__ = ["SecondLook", "worth_it"]

_MASKED, _FEATURE = 0xFE, 0xFD
"""In place of an encoding, for digests of pages without their pointers, and of blocks."""


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
        self._thorough = False
        """Whether the hand goes over the pages that are colder."""
        self._aged = clock()
        self._twins = Candidates()
        self._like = Candidates()
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
        indices = self._twins.metadata_bytes + self._like.metadata_bytes
        return self._recent.metadata_bytes + indices

    def figures(self) -> dict[str, object]:
        """What it did and what that took since the store started."""
        return {"outcomes": dict(self.outcomes), "seconds": self.budget.spent_seconds}

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
        """Looks at one page that is cold, or colder, if there is one."""
        page = self._find()
        if page:
            with self.budget.page():
                self.look(page, thorough=self._thorough)
                self._hand = page + 1

    def look(self, page: int, *, thorough: bool) -> None:
        """Looks at ``page``, whatever its age and the budget."""
        self._recent.grow(page + 1)
        outcome = self._outcome(page, thorough=thorough)
        if outcome is None:
            self._recent.looked(page)
            return
        self.outcomes[outcome] += 1
        self._recent.seen(page)

    def _find(self) -> int:
        """The next page to look at, or 0; the cold ones before those that are colder."""
        end = self._table.records.ids.end
        self._recent.grow(end)
        if not self._thorough:
            if page := self._recent.next_cold(self._hand, end):
                return page
            self._thorough, self._hand = True, 1
        page = self._recent.next_colder(self._hand, end)
        if not page and not self.ages_in():
            self._aged = self._clock()
            self._recent.age()
            self._thorough, self._hand = False, 1
            page = self._recent.next_cold(1, end)
            if not page:
                self._thorough = True
                page = self._recent.next_colder(1, end)
        return page

    def _outcome(self, page: int, *, thorough: bool) -> str | None:
        """In a word, what came of a look; None if more may come of the next one."""
        table = self._table
        if not thorough:
            for index in (self._twins, self._like):
                index.discard(page)  # it may be of an earlier page of this id
        if not table.length_if_held(page):
            return "free"
        if table.records.has_base(page):
            return "difference"
        try:
            content = table.rebuilder.content(page)
        except Undecodable:
            return "undecodable"
        except DamagedPage:
            return "damaged"
        if thorough:
            return self._compress_once_more(page, content)
        if self._settings.pointers and self._keep_as_twin(page, content):
            return "twin"
        return None

    def _compress_once_more(self, page: int, content: bytes) -> str:
        """Keeps ``page`` beside one that resembles it, or alone; in a word, what came of it."""
        feature = self._feature(page, content)
        ways = [self._near_twin(page, content, feature), self._recompressed(page, content)]
        best = min((way for way in ways if way), key=lambda way: len(way.pack()), default=None)
        outcome = "alone"
        if best and self._rekeep(page, content, best):
            if best.form.has_base:
                return "near twin"
            outcome = "recompressed"
        if feature:
            self._like.add(page, feature)
        return outcome

    # Ways to keep a page

    def _keep_as_twin(self, page: int, content: bytes) -> bool:
        """Keeps ``page`` as a difference from a twin; else it may be one for others."""
        table = self._table
        seed = table.seed(table.records.groups[page], _MASKED)
        masked = table.rebuilder.twins.mask(content, seed)
        for base, known in self._bases(page, self._twins, masked.digest):
            runs = table.rebuilder.twins.runs(known, content, table.kept_length(page))
            if runs is None:
                continue
            twin = Difference(table.rebuilder.check(page, content), base, runs, b"")
            if self._rekeep(page, content, twin):
                return True
        self._twins.add(page, masked.digest)
        return False

    def _feature(self, page: int, content: bytes) -> int:
        """What pages that resemble ``page`` have as well, most likely; 0 for nothing."""
        if not self._settings.near_twins:
            return 0
        seed = self._table.seed(self._table.records.groups[page], _FEATURE)
        return self._table.rebuilder.twins.feature(content, seed)

    def _near_twin(self, page: int, content: bytes, feature: int) -> Difference | None:
        """``page`` beside one that resembles it."""
        if not feature:
            return None
        rebuilder = self._table.rebuilder
        found = []
        for base, known in self._bases(page, self._like, feature):
            runs = rebuilder.twins.likely_runs(known, content)
            beside = rebuilder.zstd.zip_beside(rebuilder.twins.shifted(known, runs), content)
            found.append(Difference(rebuilder.check(page, content), base, runs, beside))
        return min(found, key=lambda one: len(one.frame), default=None)

    def _recompressed(self, page: int, content: bytes) -> Recompressed | None:
        """``page`` as zstd makes it."""
        if not self._settings.recompress:
            return None
        if self._table.records.form(page) == Form.RECOMPRESSED:
            return None
        rebuilder = self._table.rebuilder
        return Recompressed(rebuilder.check(page, content), rebuilder.zstd.zip(content))

    def _bases(self, page: int, index: Candidates, digest: int) -> Iterator[tuple[int, bytes]]:
        """The pages that are found, and may be the base of ``page``, and what they are."""
        if self._table.rekept.bases[page]:  # it is one itself
            return
        for base in index.find(digest):
            try:
                if self._may_be_base(page, base):
                    yield base, self._table.rebuilder.content(base)
                    continue
            except (DamagedPage, Undecodable):
                pass
            index.discard(base)

    def _may_be_base(self, page: int, base: int) -> bool:
        table = self._table
        return bool(
            base != page
            and table.length_if_held(base)
            and table.records.groups[base] == table.records.groups[page]
            and not table.records.has_base(base)
        )

    def _rekeep(self, page: int, content: bytes, what: Difference | Recompressed) -> bool:
        """Keeps ``page`` as ``what``, if that is worth it and a load would make it again."""
        table = self._table
        if not worth_it(table.kept_length(page), len(what.pack())):
            return False
        try:
            if table.rebuilder.made_of(what) != content:
                return False
            table.rekeep(page, what)
        except (ArenaFull, DamagedPage, Undecodable, Unmakable):
            return False
        return True
