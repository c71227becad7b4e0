"""Whatever domains store and drop while the second look works, they get their own pages back."""

from __future__ import annotations

import random

import lz4.block
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from testbed.store.forms import Form
from testbed.store.protocol import Encoding
from testbed.store.secondlook.twins import NativeTwins
from testbed.store.verification import problems
from tests.unit.store.secondlook.bench import MOVES, Store, near
from tests.unit.store.secondlook.pages import process_page
from tests.unit.store.support import native_folder

SEEN: set[int] = set()
"""Forms that any history had: a machine that never keeps a page smaller shows nothing."""

pages = st.one_of(
    st.builds(process_page, st.integers(1, 2), st.sampled_from(MOVES)),
    st.builds(near, st.integers(0, 2), st.sampled_from(MOVES)),
    st.builds(lambda seed: (random.Random(seed).randbytes(40) * 103)[:4096], st.integers(0, 2)),
)
domains, keys = st.integers(0, 2), st.integers(0, 7)


class SecondLookMachine(RuleBasedStateMachine):
    """Three domains, two of which share, beside a dictionary."""

    @initialize(native=st.booleans())
    def begin(self, native):
        self.store = Store(near_twins=True, recompress=True)
        if native:
            twins = NativeTwins(native_folder() / "libpageshare_ring.so")
            self.store.table.rebuilder.twins = twins
        self.model: dict[tuple[int, int], tuple[bytes, int, int]] = {}
        """By domain and key: page, row, bytes charged."""

    @rule(domain=domains, key=keys, page=pages, encoding=st.sampled_from([1, 1, 0]))
    def put(self, domain, key, page, encoding):
        length = len(lz4.block.compress(page, store_size=False)) if encoding else 4096
        row = self.store.put(domain, key, page, Encoding(encoding))
        self.model[domain, key] = page, row, length

    @rule(domain=domains, key=keys)
    def drop(self, domain, key):
        held = self.model.pop((domain, key), None)
        assert self.store.domains[domain].discard(key) == (held is not None)

    @rule(domain=domains)
    def forget_half(self, domain):
        for key in range(0, 8, 2):
            self.drop(domain, key)

    @rule(steps=st.integers(1, 30))
    def look(self, steps):
        self.store.clock.now += 6.0
        for _ in range(steps):
            if self.store.look.wait() is not None:
                self.store.look.step()

    @rule()
    def look_at_all(self):
        self.store.look_at_all()

    @rule()
    def tidy(self):
        self.store.table.tidy(20, idle=True)

    @invariant()
    def everyone_has_what_they_stored(self):
        for (domain, key), (page, row, _) in self.model.items():
            assert self.store.get(domain, key, row) == page
        assert problems(self.store.table, self.store.domains) == []
        for number, domain in enumerate(self.store.domains):
            charged = sum(size for (one, _), (_, _, size) in self.model.items() if one == number)
            assert domain.charged_bytes == charged
        SEEN.update(self.store.forms())


def test_no_history_loses_a_page():
    machine = SecondLookMachine.TestCase
    machine.settings = settings(
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine("runTest").runTest()
    assert set(Form) == SEEN
