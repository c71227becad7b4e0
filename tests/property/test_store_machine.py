"""Domains of good and ill will at both engines, each beside a model that knows of no other.

The machine's rules are steps of a ``Session``, which compares every byte that a
domain is given with the domain's model. At the end the history is played again
for one domain as if the others had never been there.
"""

from __future__ import annotations

import functools
import struct

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from testbed.store.protocol import COUNTERS, MARK_HEADER, PAGE_SIZE, VERSION, Op
from tests.fuzz.model import REQ_PROD
from tests.fuzz.program import content
from tests.fuzz.session import NAMES, Session, entry, load, private
from tests.fuzz.subject import MAX_DATA_PAGES, Subject, subjects

names = st.sampled_from(NAMES)
offsets = st.integers(0, 12) | st.integers(0, (1 << 58) - 1)
lengths = st.sampled_from([16, 17, 24, 900, 4095, PAGE_SIZE])
generations = st.integers(1, 2)
pages = st.integers(0, MAX_DATA_PAGES - 1)
words = st.integers(0, (1 << 32) - 1)
odd = st.sampled_from(
    [0, 1, 6, 8, 15, 16, 31, 32, 255, 4096, 4097, 1 << 31, (1 << 32) - 1, 1 << 58, (1 << 64) - 1]
)
FIELDS = {"id": 16, "op": 8, "encoding": 8, "data_page": 32, "length": 32, "swap_type": 16}
FIELDS |= {"flags": 16, "offset": 64, "generation": 32, "page_id": 32}


@functools.cache
def stores() -> list[Subject]:
    """One store of each engine, as good as new for every history."""
    return subjects("python", "native")


@pytest.fixture(scope="module", autouse=True)
def no_store_is_left():
    yield
    for store in stores():
        store.close()
    stores.cache_clear()


class StoreMachine(RuleBasedStateMachine):
    """Whatever domains do, each has what the protocol promises it, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(stores())
        self.session.tracing = True
        self.history: list = []

    def step(self, name: str | None, step) -> None:
        """Does ``step`` and remembers it; ``name`` is whose it is, None if no domain's."""
        self.history.append((name, step))
        step(self.session)

    # In order

    @rule(
        name=names,
        own=st.booleans(),
        seed=st.integers(0, 3),
        length=lengths,
        page=pages,
        offset=offsets,
        count=st.sampled_from([1, 1, 1, 3, 20, 260]),
        fields=st.fixed_dictionaries(
            {
                "encoding": st.sampled_from([1, 3]),
                "swap_type": st.integers(0, 1),
                "generation": generations,
                "flags": st.sampled_from([0, 0, 0, 1]),
            }
        ),
    )
    def store(self, name, own, seed, length, page, offset, count, fields):
        payload = content(private(name) if own else bytes(8), seed)[:length]
        fields |= {"length": length}

        def step(session):
            at = page % session.memory(name).nr_data_pages
            session.write_page(name, at, payload)
            keys = (offset + n & (1 << 58) - 1 for n in range(count))
            session.queue(name, *(entry(Op.STORE, data_page=at, offset=k, **fields) for k in keys))

        self.step(name, step)

    @rule(name=names, which=st.integers(0, 300), page=pages, bent=st.booleans(), word=words)
    def load(self, name, which, page, bent, word):
        def step(session):
            held = list(session.held(name).items())
            if held:
                more = {"page_id": word} if bent else {}
                session.queue(name, load(*held[which % len(held)], page, **more))

        self.step(name, step)

    @rule(name=names, which=st.integers(0, 300), count=st.integers(1, 256), late=st.booleans())
    def invalidate(self, name, which, count, late):
        def step(session):
            held = list(session.held(name).items())
            chosen = (held * 2)[which % (len(held) or 1) :][:count]
            session.invalidate(name, [(*key, what.generation + late) for key, what in chosen])

        self.step(name, step)

    @rule(name=names, swap_type=st.sampled_from([0, 1, 31, 32]))
    def invalidate_area(self, name, swap_type):
        request = entry(Op.INVALIDATE_AREA, swap_type=swap_type)
        self.step(name, lambda session: session.queue(name, request))

    @rule(name=names, version=st.sampled_from([VERSION, VERSION, 2]), more=st.integers(-1, 1))
    def mark(self, name, version, more):
        payload = MARK_HEADER.pack(version, len(COUNTERS) + more)
        payload += struct.pack(f"<{len(COUNTERS)}Q", *range(len(COUNTERS)))

        def step(session):
            session.write_page(name, 0, payload)
            session.queue(name, entry(Op.MARK, length=len(payload)))

        self.step(name, step)

    @rule(name=names, everyone=st.booleans())
    def run(self, name, everyone):
        self.step(name, lambda session: session.kick(name))
        if everyone:
            self.step(None, lambda session: session.run())

    # Out of order

    @rule(name=names, op=st.integers(1, 5), field=st.sampled_from(sorted(FIELDS)), value=odd)
    def malformed(self, name, op, field, value):
        fields = {"op": op, "encoding": 1, "length": 32, "generation": 1}
        request = entry(**fields | {field: value & (1 << FIELDS[field]) - 1})
        self.step(name, lambda session: session.queue(name, request))

    @rule(name=names, request=st.binary(min_size=32, max_size=32))
    def raw(self, name, request):
        self.step(name, lambda session: session.queue(name, request))

    @rule(name=names, page=pages, data=st.binary(min_size=1, max_size=64))
    def scribble(self, name, page, data):
        self.step(name, lambda session: session.write_page(name, page, data))

    @rule(name=names, ahead=st.integers(0, 66) | words)
    def jump(self, name, ahead):
        """Stale entries, or more than the ring has."""

        def step(session):
            session.memory(name)
            session.write_header(name, REQ_PROD, session.queued[name] + ahead)

        self.step(name, step)

    @rule(name=names, at=st.integers(1, 15), value=words)
    def write_header(self, name, at, value):
        self.step(name, lambda session: session.write_header(name, 4 * at, value))

    # Comings and goings

    @rule(name=names, order=st.integers(0, 3), count=st.integers(1, MAX_DATA_PAGES))
    def connect(self, name, order, count):
        self.step(name, lambda session: session.connect(name, order, count))

    @rule(name=names, way=st.sampled_from(["lose", "destroy", "forget", "another_life"]))
    def go(self, name, way):
        self.step(name, lambda session: getattr(session, way)(name))

    @rule()
    def restart(self):
        self.step(None, lambda session: session.restart())

    @rule()
    def drain(self):
        self.step(None, lambda session: session.drain())

    @rule(idle=st.booleans())
    def tidy(self, idle):
        self.step(None, lambda session: session.tidy(idle=idle))

    @rule()
    def verify(self):
        self.step(None, lambda session: session.begin_verification())

    # What must be true

    @invariant()
    def every_byte_is_the_models(self):
        self.session.check()

    def teardown(self):
        session = self.session
        try:
            for name in NAMES:
                self.step(name, lambda session, name=name: session.kick(name))
            self.step(None, lambda session: session.run())
            session.tracing = False
            session.check_thoroughly()
        finally:
            session.close()
        self.replay_alone(NAMES[len(self.history) % len(NAMES)], session.traces)

    def replay_alone(self, alone: str, traces) -> None:
        """Every answer, limit and byte is the same without the others."""
        session = Session(stores()[1:])
        session.tracing = True
        try:
            for name, step in self.history:
                if name in (None, alone):
                    step(session)
        finally:
            session.close()
        assert session.traces[alone] == traces[alone]


def test_domains_of_good_and_ill_will():
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=35,
            deadline=None,
            print_blob=True,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
