"""Arena, table and account against plain models, over any history."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from testbed.store import arena as arena_module
from testbed.store.arena import Arena, arena_size
from testbed.store.domain import Domain, pack_key
from testbed.store.hashindex import HashIndex
from testbed.store.members import Counts
from testbed.store.protocol import MIN_PAYLOAD, OFFSET_BITS, PAGE_SIZE
from testbed.store.region import Region
from testbed.store.state import Life, State
from testbed.store.table import SharingTable
from testbed.store.verification import problems

QUOTA = 24 * PAGE_SIZE
GROUPS = {"domU1": "a", "domU2": "a", "domU3": "b"}


def content(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def make_arena(capacity: int) -> Arena:
    return Arena(Region(arena_size(capacity)), capacity)


def make_domain(name: str, table: SharingTable, group: str, quota: int) -> Domain:
    life = Life(1 + sum(map(ord, name)), 1)
    domain = Domain(name, life, table, table.state.make_rows(life, table.state.group(group)))
    domain.welcome(name, quota)
    return domain


def weak(payload: bytes, seed: int) -> int:
    """A digest that collides all the time: the comparison must decide alone."""
    return (payload[0] ^ seed) % 3 << 60


lengths = st.one_of(
    st.sampled_from([MIN_PAYLOAD, 17, 24, 25, 4095, PAGE_SIZE]),
    st.integers(MIN_PAYLOAD, PAGE_SIZE),
)
contents = st.builds(content, st.integers(0, 5), lengths)
offsets = st.integers(0, 12)
names = st.sampled_from(sorted(GROUPS))


class StoreMachine(RuleBasedStateMachine):
    """The account of every domain and the table, against dictionaries."""

    @initialize(digest=st.sampled_from([None, weak]))
    def start(self, digest):
        state = State(len(GROUPS) * QUOTA, [])
        self.table = SharingTable(state, digest) if digest else SharingTable(state)
        self.arena = self.table.arena
        self.domains = {n: make_domain(n, self.table, g, QUOTA) for n, g in GROUPS.items()}
        self.model = {n: {} for n in GROUPS}
        self.rows = {n: {} for n in GROUPS}

    @rule(
        name=names,
        offset=offsets,
        swap_type=st.integers(0, 1),
        generation=st.integers(1, 3),
        encoding=st.sampled_from([1, 3]),
        payload=contents,
    )
    def store(self, name, offset, swap_type, generation, encoding, payload):
        domain = self.domains[name]
        before = domain.store_limit
        if before <= domain.stores_processed:
            return  # a frontend that keeps the rules does not send this one
        domain.stores_processed += 1
        key = pack_key(swap_type, offset)
        row = domain.store(key, generation, encoding, payload)
        self.model[name][key] = (generation, encoding, payload)
        self.rows[name][key] = row
        assert domain.store_limit >= before

    @rule(name=names, offset=offsets, swap_type=st.integers(0, 1), generation=st.integers(1, 3))
    def invalidate(self, name, offset, swap_type, generation):
        key = pack_key(swap_type, offset)
        held = self.model[name].get(key)
        before = self.domains[name].store_limit
        expected = held is not None and held[0] == generation
        assert self.domains[name].invalidate(key, generation) == expected
        assert self.domains[name].store_limit >= before
        if expected:
            del self.model[name][key]

    @rule(name=names, swap_type=st.integers(0, 1))
    def invalidate_area(self, name, swap_type):
        model = self.model[name]
        doomed = [key for key in model if key >> OFFSET_BITS == swap_type]
        assert self.domains[name].invalidate_area(swap_type) == len(doomed)
        for key in doomed:
            del model[key]

    @rule(name=names)
    def reconnect(self, name):
        assert self.domains[name].leave() == len(self.model[name])
        self.domains[name] = make_domain(name, self.table, GROUPS[name], QUOTA)
        self.model[name] = {}

    @rule()
    def move_together(self):
        self.arena._move_together(self.table._moved)
        assert self.arena._holes.granules == 0

    @rule(most=st.integers(1, 5), idle=st.booleans())
    def tidy(self, most, idle):
        self.table.tidy(most, idle=idle)

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def every_page_comes_back(self):
        for name, model in self.model.items():
            for key, (generation, encoding, payload) in model.items():
                page = self.domains[name].find(key, generation, self.rows[name][key])
                assert self.table.read(page) == (encoding, payload)
                assert not self.domains[name].find(key, generation + 1, self.rows[name][key])

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def the_books_close(self):
        distinct: dict[tuple, set] = {}
        for name, model in self.model.items():
            own = {(encoding, payload) for _, encoding, payload in model.values()}
            member = self.domains[name].member
            assert member.references == len(model)
            assert member.distinct_bytes == sum(len(payload) for _, payload in own)
            charged = sum(len(payload) for _, _, payload in model.values())
            assert self.domains[name].charged_bytes == charged <= QUOTA
            for page in own:
                distinct.setdefault((GROUPS[name], *page), set()).add(name)
        kept = sum(len(payload) for _, _, payload in distinct)
        assert self.table.payload_bytes == self.arena.payload_bytes == kept
        assert len(self.table) == len(distinct) == self.arena.blocks
        sharers = Counter(entry.sharing_domains for entry in self.table.entries())
        assert sharers == Counter(len(holders) for holders in distinct.values())
        assert problems(self.table, self.domains.values()) == []

    def teardown(self):
        if hasattr(self, "arena"):
            self.table.state.close()


StoreMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, print_blob=True
)
TestStore = StoreMachine.TestCase


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_arena_takes_every_payload_up_to_its_capacity(data):
    """Whatever was put and released before, in whatever order."""
    capacity = 12 * PAGE_SIZE
    arena = make_arena(capacity)
    places: dict[int, int] = {}
    bodies: dict[int, bytes] = {}

    def moved(owner: int, offset: int) -> None:
        places[owner] = offset

    for owner in range(1, data.draw(st.integers(1, 150))):
        while arena.payload_bytes + (length := data.draw(lengths)) > capacity:
            victim = data.draw(st.sampled_from(sorted(bodies)))
            arena.release(places.pop(victim))
            del bodies[victim]
        bodies[owner] = content(owner, length)
        places[owner] = arena.put(owner, bodies[owner], moved)
    assert arena.payload_bytes == sum(map(len, bodies.values()))
    for owner, body in bodies.items():
        assert arena.get(places[owner], len(body)) == body
    assert arena.reserved_bytes >= arena.rounded_bytes >= arena.payload_bytes


def test_small_payloads_cannot_exhaust_the_arena():
    """The worst rounding: every block takes nearly twice its payload."""
    capacity = 4 * PAGE_SIZE
    arena = make_arena(capacity)
    places = {}
    for owner in range(1, capacity // 17 + 1):
        places[owner] = arena.put(owner, bytes(17), places.__setitem__)
    for owner in range(1, capacity // 17 + 1, 2):
        arena.release(places.pop(owner))
    owner = 10_000
    while arena.payload_bytes + PAGE_SIZE <= capacity:
        places[owner] = arena.put(owner, content(owner, PAGE_SIZE), places.__setitem__)
        owner += 1
    for big in range(10_000, owner):
        assert arena.get(places[big], PAGE_SIZE) == content(big, PAGE_SIZE)


def test_tidying_gives_memory_back():
    with mock.patch.object(arena_module, "_TRIM_BYTES", 4096):
        table = SharingTable(State(64 * PAGE_SIZE, []))
        domain = make_domain("domU1", table, "a", 64 * PAGE_SIZE)
        for n in range(60):
            domain.store(n, 1, 1, content(n, 2000))
        high = table.arena.reserved_bytes
        for n in range(0, 60, 2):
            domain.discard(n)
        while table.tidy(4, idle=True):
            pass
        assert table.arena.moves
        assert table.arena.reserved_bytes < high * 0.6
        assert problems(table, [domain]) == []
        table.state.close()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 250, -250, -1])), max_size=40))
def test_counts_are_those_of_a_counter(steps):
    counts, model = Counts(), Counter()
    for page, change in steps:
        for _ in range(abs(change)):
            if change > 0:
                assert counts.add(page) == model[page]
                model[page] += 1
            elif model[page]:
                model[page] -= 1
                assert counts.subtract(page) == model[page]
        assert counts[page] == model[page]
    again = Counts()
    for page, count in model.items():
        for _ in range(count):
            again.add(page)
    assert counts == again == Counts(counts)


hashes = st.integers(0, (1 << 64) - 1) | st.sampled_from([0, 1, (1 << 64) - 1, 1 << 63])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), values=st.lists(hashes, min_size=1, max_size=120))
def test_the_index_finds_what_a_dictionary_finds(data, values):
    column = array("Q", [0, *values])
    index = HashIndex(column, bits=2)
    inside: set[int] = set()
    if data.draw(st.booleans()):
        index.add_all(range(1, 1 + len(values) // 2))
        inside.update(range(1, 1 + len(values) // 2))
    for step in range(2 * len(values)):
        ident = 1 + step % len(values)
        if ident in inside and data.draw(st.booleans()):
            index.remove(ident)
            inside.remove(ident)
        elif ident not in inside:
            index.add(ident)
            inside.add(ident)
    assert len(index) == len(inside)
    for value in set(values):
        expected = {ident for ident in inside if column[ident] == value}
        assert set(index.matches(value)[0]) == expected
        assert (index.first(value) in expected) if expected else index.first(value) == 0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["store", "again", "fail", "drop"]), offsets, lengths),
        max_size=60,
    ),
    st.integers(PAGE_SIZE, 8 * PAGE_SIZE),
)
def test_the_store_limit_never_falls(steps, quota):
    table = SharingTable(State(8 * PAGE_SIZE, []))
    domain = make_domain("domU1", table, "a", quota)
    limit = domain.store_limit
    for step, offset, length in steps:
        if step == "drop":
            domain.discard(offset)
        elif step == "again":
            domain.stores_processed += 1
            if domain.fits(offset, length):
                domain.store(offset, 1, 1, content(offset, length))
            else:
                domain.discard(offset)
        elif domain.stores_processed < domain.store_limit:
            domain.stores_processed += 1
            if step == "store":
                domain.store(offset, 1, 1, content(offset, length))
        assert domain.store_limit >= limit
        assert domain.charged_bytes <= quota
        limit = domain.store_limit
    table.state.close()
