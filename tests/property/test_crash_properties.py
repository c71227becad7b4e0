"""The store is killed after every single write to its files; what does the next one find?"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, field

import lz4.block
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.store.connection import Connection
from testbed.store.domain import Domain, pack_key
from testbed.store.engine import NativeEngine
from testbed.store.forms import Form
from testbed.store.protocol import KEY, OFFSET_BITS, PAGE_SIZE, Encoding, Op, Status
from testbed.store.rebuild import Undecodable, decode
from testbed.store.recovery import recover
from testbed.store.secondlook.look import SecondLook, Settings
from testbed.store.state import Life
from testbed.store.table import SharingTable
from testbed.store.transport.inprocess import InProcessChannel
from testbed.store.transport.interface import Batch
from testbed.store.verification import problems
from tests.property.taped import Listening, TapedState, taped_library
from tests.unit.store.secondlook.pages import process_page
from tests.unit.store.support import Frontend, request

QUOTA = 2 * PAGE_SIZE
GROUP_OF = {1: 0, 2: 0, 3: 1}
CAPACITY = len(GROUP_OF) * QUOTA
SECRET = bytes(range(32))

Key = tuple[Life, int]
Held = tuple[int, bytes, int]
"""Generation, payload, row (the wire's page id)."""


@dataclass
class Machine:
    """A table and its domains, as the service has them."""

    state: TapedState
    native: bool = False
    """Whether STORE and INVALIDATE go through the ring to the native engine."""
    domains: dict[Life, Domain] = field(default_factory=dict)
    answered_natively: int = 0

    def __post_init__(self):
        self.table = SharingTable(self.state)
        self.domains = recover(self.table)
        self.lives = {life.domid: life for life in self.domains}

    def domain(self, domid: int) -> Domain:
        """As connected now: made when it is seen first."""
        life = self.lives.setdefault(domid, Life(domid, 1))
        return self.connect(life)

    def connect(self, life: Life) -> Domain:
        for other in [other for other in self.domains if other.domid == life.domid]:
            if other != life:
                self.domains.pop(other).leave()
        self.lives[life.domid] = life
        if life not in self.domains:
            rows = self.state.make_rows(life, GROUP_OF[life.domid])
            self.domains[life] = Domain(f"domain {life.domid}", life, self.table, rows)
        self.domains[life].welcome(f"domain {life.domid}", QUOTA)
        return self.domains[life]

    def held(self) -> dict[Key, Held]:
        """Everything that can be read, by domain and key."""
        found = {}
        for life, domain in self.domains.items():
            for row in domain.rows.used():
                key, generation = domain.key(row), domain.rows.commits[row] & 0xFFFFFFFF
                assert domain._index.first(domain.rows.keys[row]) == row
                page = domain.find(key, generation, row)
                found[life, key] = (generation, page_of(*self.table.read(page)), row)
        return found

    def look_again(self) -> None:
        """The second look at every page that there is."""
        look = SecondLook(self.table, Settings(), clock=lambda: 0.0)
        for page in range(1, self.table.records.ids.end):
            look.look(page, thorough=False)
        for page in range(1, self.table.records.ids.end):
            look.look(page, thorough=True)
        look.close()

    def store(self, domain: Domain, key: int, generation: int, payload: bytes, encoding=1):
        if not self.native:
            domain.store(key, generation, encoding, payload)
            return
        self.ask(
            domain,
            payload,
            Op.STORE,
            encoding=encoding,
            swap_type=key >> OFFSET_BITS,
            offset=key & (1 << OFFSET_BITS) - 1,
            generation=generation,
        )

    def invalidate(self, domain: Domain, key: int, generation: int):
        if self.native:
            payload = KEY.pack(key >> OFFSET_BITS, generation, key & (1 << OFFSET_BITS) - 1)
            self.ask(domain, payload, Op.INVALIDATE)
        else:
            domain.invalidate(key, generation)

    def ask(self, domain: Domain, payload: bytes, op: Op, **fields) -> None:
        """One request through a ring of its own to the native engine."""
        frontend, batch = Frontend(1), Batch()
        channel = InProcessChannel(taped_library(), batch, frontend.shared)
        connection = Connection("domU", domain, channel, lambda _: None)
        engine = NativeEngine(taped_library(), batch, lambda _: None)
        engine.attach(connection)
        frontend.write_page(0, payload)
        frontend.send(request(op, length=len(payload), **fields))
        domain.state.quota_bytes = 1 << 30  # ``store`` has seen to the quota
        with Listening(self.state.tape):
            engine.serve(connection)
        domain.state.quota_bytes = QUOTA
        (response,) = frontend.receive()
        assert response.status == Status.OKAY
        self.answered_natively += not engine.asides
        channel.close()
        frontend.close()

    def close(self):
        for region in self.state.tape.files.values():
            region.close()


TWINS = 900
"""The length of content that is a page of a process, compressed."""


def content(seed: int, length: int) -> bytes:
    if length == TWINS:
        moved = {"heap": seed * 9, "stack": -seed}
        return lz4.block.compress(
            process_page(1, moved, pointers=60, noise=False), store_size=False
        )
    return random.Random(seed).randbytes(length)


@functools.lru_cache(maxsize=1000)
def page_of(encoding: int, payload: bytes) -> bytes:
    """What a domain makes of an answer: a payload may come back in another encoding."""
    try:
        return decode(encoding, payload)
    except Undecodable:
        return payload


# Operations: each a function of the machine, to be done again after a kill.


def store(domid, key, generation, seed, length):
    def run(machine: Machine):
        domain = machine.domain(domid)
        if domain.fits(key, length):
            machine.store(domain, key, generation, content(seed, length))
        else:
            domain.discard(key)  # as the dispatcher does

    return run


def again(domid, seed):
    """A STORE whose answer was lost: the same bytes, the same generation."""

    def run(machine: Machine):
        domain = machine.domain(domid)
        if not (used := domain.rows.used()):
            return
        row = used[seed % len(used)]
        commit = domain.rows.commits[row]
        encoding, payload = machine.table.read(commit >> 32)
        if encoding == Encoding.RAW:  # as the domain has sent it
            encoding, payload = Encoding.LZ4, lz4.block.compress(payload, store_size=False)
        machine.store(domain, domain.key(row), commit & 0xFFFFFFFF, payload, encoding)

    return run


def invalidate(domid, key, generation):
    return lambda machine: machine.invalidate(machine.domain(domid), key, generation)


def invalidate_area(domid, swap_type):
    return lambda machine: machine.domain(domid).invalidate_area(swap_type)


def restart(domid, epoch):
    return lambda machine: machine.connect(Life(domid, epoch))


def tidy(machine: Machine):
    machine.table.tidy(3, idle=True)


def look_again(machine: Machine):
    machine.look_again()


def differences(count: int):
    """Checks how many pages are kept so: without any, a history would show nothing."""

    def run(machine: Machine):
        assert machine.table.rekept.totals[Form.TWIN].entries == count

    return run


def move_together(machine: Machine):
    machine.table.arena._move_together(machine.table._moved)


domids = st.sampled_from(sorted(GROUP_OF))
keys = st.builds(pack_key, st.integers(0, 1), st.integers(0, 4))
lengths = st.sampled_from([16, 17, 24, 200, 700, TWINS, TWINS, 1500, 4095, PAGE_SIZE])
stores = st.builds(store, domids, keys, st.integers(1, 3), st.integers(0, 3), lengths)
operations = st.one_of(
    stores,
    stores,
    stores,
    st.builds(again, domids, st.integers(0, 9)),
    st.builds(invalidate, domids, keys, st.integers(1, 3)),
    st.builds(invalidate_area, domids, st.integers(0, 1)),
    st.builds(restart, domids, st.integers(1, 2)),
    st.just(tidy),
    st.just(look_again),
    st.just(move_together),
)


def without_rows(held: dict[Key, Held]) -> dict[Key, tuple[int, bytes]]:
    return {key: (generation, payload) for key, (generation, payload, _) in held.items()}


def check_killed(files, before, after, operation) -> None:
    """One kill: nothing that was complete is lost, and the operation can be done again."""
    machine = Machine(TapedState(CAPACITY, SECRET, files))
    assert machine.domains.damaged == 0
    assert machine.table.arena.state.top <= machine.table.arena.state.scratch
    held = machine.held()
    for key in before.keys() | after.keys() | held.keys():
        assert held.get(key) in (before.get(key), after.get(key)), key
    assert problems(machine.table, machine.domains.values()) == []
    operation(machine)
    assert without_rows(machine.held()) == without_rows(after)
    assert problems(machine.table, machine.domains.values()) == []
    machine.close()


def check_killed_again(files, before, after) -> None:
    """The store that recovers is killed itself, after every write."""
    state = TapedState(CAPACITY, SECRET, files)
    state.tape.running = True
    first = Machine(state)
    state.tape.running = False
    held = first.held()
    for snapshot in state.tape.snapshots:
        second = Machine(TapedState(CAPACITY, SECRET, snapshot))
        assert second.held() == held
        assert problems(second.table, second.domains.values()) == []
        second.close()
    first.close()


def cut_every_write(steps, *, native: bool, again: int = 0):
    """Runs ``steps``; kills at every write, and every ``again``-th time the next store too."""
    machine = Machine(TapedState(CAPACITY, SECRET), native)
    tape = machine.state.tape
    for domid in GROUP_OF:
        machine.domain(domid)
    cuts = 0
    for operation in steps:
        before = machine.held()
        tape.running = True
        operation(machine)
        tape.running = False
        after = machine.held()
        for number, snapshot in enumerate(tape.snapshots):
            check_killed(snapshot, before, after, operation)
            if again and not number % again:
                check_killed_again(snapshot, before, after)
        cuts += len(tape.snapshots)
        tape.snapshots.clear()
        assert problems(machine.table, machine.domains.values()) == []
    assert all(key >> OFFSET_BITS < 2 for _, key in machine.held())
    moves = machine.table.arena.moves
    machine.close()
    return cuts, moves, machine.answered_natively


@settings(
    max_examples=120, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(operations, min_size=1, max_size=14), st.booleans())
def test_a_kill_at_any_write_loses_nothing(steps, native):
    cut_every_write(steps, native=native)


@pytest.mark.parametrize("native", [False, True])
def test_a_kill_during_the_second_look_loses_nothing(native):
    """Twins of two domains, kept as differences; their base loses its holders, and they go."""
    steps = [store(1, n, 1, n, TWINS) for n in range(4)] + [store(2, 1, 1, 4, TWINS), look_again]
    steps += [differences(4)]
    steps += [store(2, 2, 1, 1, TWINS), tidy, store(3, 1, 1, 0, TWINS), store(1, 9, 1, 6, 700)]
    steps += [invalidate(1, 0, 1), look_again, move_together, invalidate(1, 1, 1), again(2, 0)]
    steps += [invalidate(1, 2, 1), invalidate(1, 3, 1), restart(2, 5), tidy]
    cut_every_write(steps, native=native, again=3)


@pytest.mark.parametrize("native", [False, True])
def test_every_step_of_a_long_history_survives(native):
    """One history that fills the arena, moves blocks both ways and replaces pages."""
    steps = [store(domid, n, 1, n, 700 + 16 * n) for n in range(8) for domid in (1, 3)]
    steps += [invalidate(1, n, 1) for n in range(0, 8, 2)]
    steps += [store(1, n, 1, n + 9, 650 + 16 * n) for n in range(0, 6, 2)]
    steps += [store(2, n, 2, n + 9, 650 + 16 * n) for n in range(0, 6, 2)]
    steps += [move_together, store(1, 3, 2, 3, 724), tidy, invalidate(3, 0, 1), tidy, tidy]
    steps += [restart(3, 7), move_together, again(1, 2)]
    cuts, moves, answered_natively = cut_every_write(steps, native=native, again=5)
    assert moves > 4
    assert cuts > 200
    if native:
        assert answered_natively > 15
