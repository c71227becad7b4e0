"""The same requests to Python and to the native loop: the same answers, files and table."""

from __future__ import annotations

import dataclasses
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.store.protocol import KEY, MAX_SWAP_TYPES, PAGE_SIZE, Op
from testbed.store.state import Life
from tests.property.everything import everything
from tests.unit.store.support import Bench, kernel_compile_lengths, request, tmpfs_folder

DATA_PAGES = 32
QUOTAS = {"domU1": 40 * PAGE_SIZE, "domU2": 40 * PAGE_SIZE, "other": 12 * PAGE_SIZE}
GROUPS = {"domU1": "a", "domU2": "a", "other": "b"}
LENGTHS = kernel_compile_lengths(200)


@dataclasses.dataclass
class Pair:
    """Two stores with the same secret, and a frontend of each domain at both."""

    folder: Path
    memory: Path

    def __post_init__(self) -> None:
        self.benches = {}
        for engine in ("python", "native"):
            state = self.memory / engine
            state.mkdir()
            if engine == "native":
                shutil.copy(self.memory / "python/header", state / "header")
            folder = self.folder / engine
            self.benches[engine] = Bench(folder, QUOTAS, GROUPS, state, engine)
        self.frontends = {}
        for number, name in enumerate(QUOTAS, start=1):
            life = Life(number, number)
            self.frontends[name] = [
                bench.connect(name, DATA_PAGES, life=life) for bench in self.benches.values()
            ]

    def ask(self, name: str, pages: dict[int, bytes], requests: list[bytes]) -> list:
        """What both answer, the loaded bytes with it; it must be the same."""
        answers = []
        for frontend in self.frontends[name]:
            for page in range(DATA_PAGES):
                frontend.write_page(page, pages.get(page, b"\xee" * PAGE_SIZE))
            responses = frontend.ask(*requests)
            loaded = [frontend.read_page(page, PAGE_SIZE) for page in range(DATA_PAGES)]
            answers.append((responses, loaded))
        assert answers[0] == answers[1]
        return answers[0][0]

    def check(self) -> None:
        """Everything that the two keep, in their files and beside them."""
        one, other = (bench.store for bench in self.benches.values())
        assert everything(one) == everything(other)
        for bench in self.benches.values():
            assert bench.verify()["problems"] == []

    @property
    def share_answered_natively(self) -> float:
        engine = self.benches["native"].store._engine
        counters = [c.counters.requests for c in self.benches["native"].store.connections.values()]
        return 1 - engine.asides / sum(counters)

    def close(self) -> None:
        for bench in self.benches.values():
            bench.close()


class Guest:
    """Makes requests like a kernel's, and a few like nobody's."""

    def __init__(self, name: str, draw: random.Random) -> None:
        self.name, self.draw = name, draw
        self.held: dict[tuple[int, int], tuple[int, int]] = {}

    def batch(self) -> tuple[dict[int, bytes], list[bytes], list]:
        pages, requests, keys = {}, [], []
        for page in range(self.draw.randrange(1, 25)):
            make = self.draw.choices(
                [self.store, self.load, self.invalidate, self.odd], [50, 25, 20, 5]
            )[0]
            payload, packed, key = make(page)
            pages[page] = payload
            requests.append(packed)
            keys.append(key)
        return pages, requests, keys

    def store(self, page):
        draw = self.draw
        key = draw.randrange(2), draw.randrange(60)
        length = draw.choice(LENGTHS)
        payload = random.Random(draw.randrange(40)).randbytes(length)
        generation = draw.randrange(1, 4)
        packed = request(
            Op.STORE,
            data_page=page,
            length=length,
            encoding=draw.choice([1, 1, 1, 3]) if length < PAGE_SIZE else 0,
            swap_type=key[0],
            offset=key[1],
            generation=generation,
            flags=draw.random() < 0.1,
        )
        return payload, packed, (key, generation)

    def load(self, page):
        draw = self.draw
        if not self.held:
            return self.store(page)
        key = draw.choice(sorted(self.held))
        generation, row = self.held[key]
        row += draw.random() < 0.05
        fields = {"swap_type": key[0], "offset": key[1], "generation": generation}
        return b"", request(Op.LOAD, data_page=page, page_id=row, **fields), None

    def invalidate(self, page):
        draw = self.draw
        known = draw.sample(sorted(self.held), min(len(self.held), draw.randrange(12)))
        listed = [(key, self.held[key][0] + (draw.random() < 0.1)) for key in known]
        if draw.random() < 0.05:
            listed.append(((MAX_SWAP_TYPES, 1), 1))
        payload = b"".join(KEY.pack(key[0], generation, key[1]) for key, generation in listed)
        return payload, request(Op.INVALIDATE, data_page=page, length=len(payload)), None

    def odd(self, page):
        draw = self.draw
        fields = {
            "data_page": draw.choice([page, DATA_PAGES, 1 << 31]),
            "length": draw.choice([0, 15, 16, 17, 4096, 4097, 1 << 31]),
            "encoding": draw.randrange(6),
            "swap_type": draw.choice([0, 1, 31, 32, 0xFFFF]),
            "offset": draw.choice([0, 1, 1 << 57, 1 << 58]),
            "generation": draw.randrange(3),
            "page_id": draw.choice([0, 1, 0xFFFFFFFF]),
            "flags": draw.choice([0, 0, 1, 2]),
        }
        return draw.randbytes(64), request(draw.choice([0, 1, 2, 3, 3, 4, 5, 200]), **fields), None

    def learn(self, keys, responses) -> None:
        for key, response in zip(keys, responses, strict=True):
            if key and response.op == Op.STORE and not response.status:
                self.held[key[0]] = key[1], response.page_id


def run(seed: int, batches: int) -> float:
    """How many of the requests the native loop answered itself."""
    with tempfile.TemporaryDirectory() as folder, tmpfs_folder(Path(folder)) as memory:
        return compare(Pair(Path(folder), memory), random.Random(seed), batches)


def compare(pair: Pair, draw: random.Random, batches: int) -> float:
    guests = [Guest(name, draw) for name in QUOTAS]
    for number in range(batches):
        guest = draw.choice(guests)
        pages, requests, keys = guest.batch()
        guest.learn(keys, pair.ask(guest.name, pages, requests))
        if draw.random() < 0.1:
            for bench in pair.benches.values():
                bench.store.tidy(idle=number % 2 == 0)
    pair.check()
    share = pair.share_answered_natively
    pair.close()
    return share


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 32))
def test_both_engines_do_the_same(seed):
    run(seed, 40)


def test_both_engines_do_the_same_for_long():
    assert run(7, 1500) > 0.5
