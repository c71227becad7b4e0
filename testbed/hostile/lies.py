"""What can be wrong with an answer, with the ring, or with a data page.

A lie is a function that changes what is about to be told. Its name, with
dashes, is what the report counts it under.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from testbed.hostile.answers import Answer
from testbed.hostile.ring import Ring
from testbed.store.protocol import PAGE_SIZE, Op, Status

__all__ = ["LIES", "Lie", "Telling"]


@dataclass(slots=True)
class Telling:
    """What a lie may use and change."""

    random: Random
    ring: Ring
    answer: Answer
    """The true one; what it becomes is told."""
    in_flight: Sequence[int]
    """Ids of other requests that are not answered yet."""
    former: Sequence[bytes]
    """Payloads of other pages, or of this one earlier."""
    now: list[Answer] = field(default_factory=list)
    """Told after ``answer``, at once."""
    held_seconds: float | None = None
    """``answer`` is told after so long; infinity: never."""
    last: bool = False
    """``answer`` is told after the others of its batch."""
    ahead: int = 0
    """Entries that the producer index shows beyond what was written."""
    events: int = 0
    """Further events, with nothing to say."""
    scribbles: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Data page, offset and bytes that are written after ``answer`` was told."""


@dataclass(frozen=True, slots=True)
class Lie:
    """One way not to tell the truth."""

    name: str
    ops: frozenset[int]
    """The requests whose answers it fits."""
    tell: Callable[[Telling], None]


LIES: list[Lie] = []

_ANY = frozenset(map(int, Op))
_STORE, _LOAD = frozenset({int(Op.STORE)}), frozenset({int(Op.LOAD)})


def _lie(ops: frozenset[int] = _ANY) -> Callable[[Callable[[Telling], None]], None]:
    def keep(tell: Callable[[Telling], None]) -> None:
        LIES.append(Lie(tell.__name__.replace("_", "-"), ops, tell))

    return keep


# Which request it answers


@_lie()
def id_out_of_range(telling: Telling) -> None:
    telling.answer.id = telling.random.choice([telling.ring.nr_data_pages, 0x7FFF, 0xFFFF])


@_lie()
def id_not_in_flight(telling: Telling) -> None:
    taken = {telling.answer.id, *telling.in_flight}
    free = [one for one in range(telling.ring.nr_data_pages) if one not in taken]
    telling.answer.id = telling.random.choice(free or [0xFFFF])


@_lie()
def id_of_another(telling: Telling) -> None:
    telling.answer.id = telling.random.choice(telling.in_flight or [telling.answer.id ^ 1])


@_lie()
def op_of_another(telling: Telling) -> None:
    others = [int(op) for op in Op if op != telling.answer.op]
    telling.answer.op = telling.random.choice(others)


@_lie()
def op_unknown(telling: Telling) -> None:
    telling.answer.op = telling.random.choice([0, 6, 127, 255])


# How it ended


@_lie()
def status_of_an_error(telling: Telling) -> None:
    errors = [int(status) for status in Status if status != Status.OKAY]
    telling.answer.status = telling.random.choice(errors)


@_lie()
def status_unknown(telling: Telling) -> None:
    telling.answer.status = telling.random.choice([1, -5, 2**31 - 1, -(2**31)])


@_lie()
def length_impossible(telling: Telling) -> None:
    telling.answer.length = telling.random.choice([PAGE_SIZE + 1, 1 << 31, 2**32 - 1])


@_lie(_LOAD)
def length_wrong(telling: Telling) -> None:
    true = telling.answer.length
    telling.answer.length = telling.random.choice([0, 1, max(true - 1, 0), PAGE_SIZE])


@_lie(_LOAD)
def encoding_wrong(telling: Telling) -> None:
    others = [one for one in (0, 1, 2, 3, 255) if one != telling.answer.encoding]
    telling.answer.encoding = telling.random.choice(others)


@_lie(_STORE)
def page_id_wrong(telling: Telling) -> None:
    telling.answer.page_id = telling.random.choice([0, telling.answer.page_id ^ 1, 2**32 - 1])


@_lie()
def reserved_set(telling: Telling) -> None:
    telling.answer.reserved = telling.random.getrandbits(64)


# How much may be stored


@_lie()
def limit_zero(telling: Telling) -> None:
    telling.answer.store_limit = 0


@_lie()
def limit_falls(telling: Telling) -> None:
    telling.answer.store_limit = telling.answer.store_limit // 2


@_lie()
def limit_huge(telling: Telling) -> None:
    telling.answer.store_limit = 2**64 - 1


# What a page holds


@_lie(_LOAD)
def payload_bit_flipped(telling: Telling) -> None:
    payload = bytearray(telling.answer.payload or b"\0")
    payload[telling.random.randrange(len(payload))] ^= 1 << telling.random.randrange(8)
    telling.answer.payload = bytes(payload)


@_lie(_LOAD)
def payload_of_another(telling: Telling) -> None:
    if telling.former:
        telling.answer.payload = telling.random.choice(telling.former)
        telling.answer.length = len(telling.answer.payload)


@_lie(_LOAD)
def payload_of_another_with_its_length_kept(telling: Telling) -> None:
    if telling.former:
        telling.answer.payload = telling.random.choice(telling.former)


@_lie(_LOAD)
def payload_of_noise(telling: Telling) -> None:
    telling.answer.payload = telling.random.randbytes(telling.random.randint(1, PAGE_SIZE))
    telling.answer.length = len(telling.answer.payload)


@_lie(_LOAD)
def payload_missing(telling: Telling) -> None:
    telling.answer.payload = b""


# When, and how often


@_lie()
def told_late(telling: Telling) -> None:
    telling.held_seconds = telling.random.uniform(0.01, 1.0)


@_lie()
def told_never(telling: Telling) -> None:
    telling.held_seconds = float("inf")


@_lie()
def told_twice(telling: Telling) -> None:
    telling.now.append(telling.answer)


@_lie()
def told_twice_and_the_second_is_late(telling: Telling) -> None:
    telling.now.append(telling.answer)
    telling.held_seconds = telling.random.uniform(0.01, 0.3)


@_lie()
def told_out_of_order(telling: Telling) -> None:
    telling.last = True


@_lie()
def events_with_nothing_to_say(telling: Telling) -> None:
    telling.events = telling.random.randint(1, 200)


# The ring itself


@_lie()
def producer_a_little_ahead(telling: Telling) -> None:
    telling.ahead = telling.random.randint(1, 4)


@_lie()
def producer_far_ahead(telling: Telling) -> None:
    telling.ahead = telling.random.choice([telling.ring.entries, 1 << 16, 1 << 31])


@_lie()
def producer_behind(telling: Telling) -> None:
    telling.ahead = -telling.random.randint(2, 300)


@_lie()
def event_indices_wrong(telling: Telling) -> None:
    telling.ring.set_event_indices(telling.random.getrandbits(32))


@_lie()
def entries_scribbled_on(telling: Telling) -> None:
    telling.ring.scribble_entries(telling.random.randbytes(1024))


# Data pages, which the frontend has granted for good


@_lie(_LOAD)
def page_changed_after_the_answer(telling: Telling) -> None:
    telling.scribbles.append((telling.answer.data_page, 0, telling.random.randbytes(64)))


@_lie()
def page_of_another_changed(telling: Telling) -> None:
    for one in telling.random.sample(telling.in_flight, min(4, len(telling.in_flight))):
        telling.scribbles.append((one, 0, telling.random.randbytes(PAGE_SIZE)))


@_lie()
def every_page_changed(telling: Telling) -> None:
    noise = telling.random.randbytes(64)
    telling.scribbles += [(one, 0, noise) for one in range(telling.ring.nr_data_pages)]
