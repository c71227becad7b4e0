"""Bytes as a history: every string of bytes is one, most of it in order.

Instructions are those of ``mutation.py``. Some take the next bytes as they are:
a whole ring entry, or a piece of a data page.
"""

from __future__ import annotations

import functools
import random
import struct
from typing import NamedTuple

from testbed.store.protocol import COUNTERS, MARK_HEADER, PAGE_SIZE, VERSION, Op
from tests.fuzz.model import REQ_PROD
from tests.fuzz.mutation import INSTRUCTION
from tests.fuzz.session import NAMES, Session, entry, load, private

__all__ = ["play"]

MOST_REQUESTS = 2500
"""Of one program; what comes behind is not played."""

_LENGTHS = (16, 17, 23, 24, 25, 100, 100, 300, 500, 900, 900, 1500, 2048, 4095, 4096)
_SHARED_LENGTHS = (100, 108, 900, 4096)
"""Few, so that domains often have equal pages; two differ by one granule."""
_WORD, _LAST = (1 << 31, (1 << 32) - 1), (1 << 64) - 1
_BORDERS = {
    "op": (0, 1, 5, 6, 255),
    "id": (0, (1 << 16) - 1),
    "encoding": (0, 1, 3, 4, 255),
    "data_page": _WORD,
    "length": (0, 1, 15, 16, 17, 32, 255, 4095, 4096, 4097, 4112, 1 << 16, *_WORD),
    "swap_type": (1, 31, 32, 33, (1 << 16) - 1),
    "flags": (1, 2, 3, 1 << 15),
    "offset": ((1 << 58) - 1, 1 << 58, 1 << 59, (1 << 63) + 5, _LAST),
    "generation": (0, 1, 2, *_WORD),
    "page_id": (0, 1, 2, 255, 256, *_WORD),
}
"""By field of a request; a data page's are also those of the connection."""


class Instruction(NamedTuple):
    """One, and the bytes behind it."""

    name: str
    small: int
    word: int
    wide: int
    rest: bytes


@functools.cache
def content(owner: bytes, seed: int) -> bytes:
    """A page's worth of bytes; every 64 of them say whose they are."""
    draw = random.Random(seed)
    return b"".join(owner + draw.randbytes(56) for _ in range(PAGE_SIZE // 64))


def store(session: Session, step: Instruction) -> None:
    """One STORE or a row of them; equal pages of two domains are made by equal seeds."""
    name, small, word, wide, _ = step
    owner = private(name) if word & 1 else bytes(8)
    seed = word >> 1 & 7 if word & 1 else word >> 1 & 1
    lengths = _LENGTHS if word & 1 else _SHARED_LENGTHS
    length = lengths[(word >> 4 & 0xFF) % len(lengths)]
    offset = wide >> 6 if word >> 12 & 31 == 31 else small % 48
    count = 1 + (wide & (0xFF if word >> 17 & 7 == 7 else 15))
    page = (word >> 20) % session.memory(name).nr_data_pages
    session.write_page(name, page, content(owner, seed)[:length])
    requests = [
        entry(
            Op.STORE,
            id=small,
            encoding=1 + (word >> 24 & 1) * 2 if length < PAGE_SIZE else word >> 24 & 3,
            data_page=page,
            length=length,
            swap_type=word >> 26 & 1,
            offset=offset + at & (1 << 58) - 1,
            generation=1 + (wide >> 8 & 1),
            flags=wide >> 9 & 15 == 15,
        )
        for at in range(count)
    ]
    session.queue(name, *requests)


def load_held(session: Session, step: Instruction) -> None:
    """A LOAD of something that the domain has, or a row of them; at times not quite."""
    name, small, word, wide, _ = step
    held = list(session.held(name).items())
    page = (word >> 8) % session.memory(name).nr_data_pages
    if not held:
        session.queue(name, entry(Op.LOAD, data_page=page, offset=small, page_id=word & 0xFF))
        return
    count = 1 + (wide & 0x1F)
    bent = {}
    if word >> 1 & 15 == 15:
        bent["page_id"] = wide >> 32
    if word >> 5 & 7 == 7:
        bent["generation"] = wide >> 16 & 3
    if word >> 16 & 15 == 15:
        bent["flags"] = wide >> 24 & 3
    beyond = word >> 20 & 15 == 15
    for at in range(count):
        key, what = held[(small + at) % len(held)]
        nr_pages = session.memory(name).nr_data_pages
        into = nr_pages + (wide >> 26 & 1) if beyond else (page + at) % nr_pages
        session.queue(name, load(key, what, into, **bent))


def invalidate(session: Session, step: Instruction) -> None:
    """Keys that the domain has, and perhaps one that it has not."""
    name, small, word, wide, _ = step
    held = list(session.held(name).items())
    chosen = [held[(small + at) % len(held)] for at in range(1 + word % 256)] if held else []
    keys = [
        (*key, what.generation + (wide >> at % 64 & 1 and word >> 8 & 1))
        for at, (key, what) in enumerate(chosen)
    ]
    if word >> 9 & 3 == 3:
        keys[-1:] = [(word >> 16 & 63, wide, word & 3)]
    keys = [(t, o & (1 << 64) - 1, g & 0xFFFFFFFF) for t, o, g in keys]
    session.invalidate(name, keys, word % session.memory(name).nr_data_pages)


def invalidate_area(session: Session, step: Instruction) -> None:
    swap_type = step.small if step.word & 7 == 7 else step.small & 1
    session.queue(step.name, entry(Op.INVALIDATE_AREA, id=step.small, swap_type=swap_type))


def mark(session: Session, step: Instruction) -> None:
    name, small, word, wide, _ = step
    version = small if word & 15 == 15 else VERSION
    number = word if word >> 4 & 15 == 15 else len(COUNTERS)
    payload = MARK_HEADER.pack(version, number) + struct.pack("<Q", wide) * len(COUNTERS)
    length = small % 5000 if word >> 8 & 15 == 15 else len(payload)
    session.write_page(name, 0, payload)
    session.queue(name, entry(Op.MARK, data_page=0, length=length))


def bent(session: Session, step: Instruction) -> None:
    """A request in order but for one field: at each of its borders, or anything."""
    name, small, word, wide, _ = step
    fields = {
        "op": 1 + word % 5,
        "id": small,
        "encoding": 1,
        "data_page": word >> 3 & 7,
        "length": 16 * (1 + (word >> 6 & 31)),
        "swap_type": word >> 11 & 1,
        "flags": 0,
        "offset": small % 48,
        "generation": 1,
        "page_id": 1 + small % 48,
    }
    field = list(fields)[(word >> 16 & 0xFF) % len(fields)]
    borders = _BORDERS[field]
    if field == "data_page":
        last = session.memory(name).nr_data_pages - 1
        borders = (last, last + 1, last + 2, *borders)
    bits = {"op": 8, "encoding": 8, "id": 16, "swap_type": 16, "flags": 16, "offset": 64}
    for value in borders if wide & 1 else (wide >> 8,):
        session.queue(name, entry(**fields | {field: value & (1 << bits.get(field, 32)) - 1}))


def raw(session: Session, step: Instruction) -> None:
    """Any 32 bytes as a ring entry."""
    session.queue(step.name, step.rest[:32].ljust(32, b"\0"))


def write_page(session: Session, step: Instruction) -> None:
    """Any bytes in a data page."""
    times = 1 + step.word % 256
    session.write_page(step.name, step.small, step.rest[:16] * times, step.wide % PAGE_SIZE)


def kick(session: Session, step: Instruction) -> None:
    session.kick(step.name)


def run(session: Session, step: Instruction) -> None:
    session.kick(step.name)
    session.run()


def jump(session: Session, step: Instruction) -> None:
    """The producer's index goes on by itself, a little or out of all bounds."""
    name, small, word, _, _ = step
    memory = session.memory(name)
    ahead = small % (memory.entries + 2) if word & 15 else word
    session.write_header(name, REQ_PROD, session.queued[name] + ahead)


def write_header(session: Session, step: Instruction) -> None:
    session.write_header(step.name, 4 * (1 + step.small % 15), step.word)


def reconnect(session: Session, step: Instruction) -> None:
    session.connect(step.name, step.small % 4, 1 + step.word % 8)


def live(session: Session, step: Instruction) -> None:
    """Comes and goes in one way or another."""
    ways = (session.lose, session.destroy, session.forget, session.another_life)
    ways[step.small % 4](step.name)


def tidy(session: Session, step: Instruction) -> None:
    session.tidy(idle=bool(step.small & 1))


def verify(session: Session, step: Instruction) -> None:
    session.begin_verification()


def restart(session: Session, step: Instruction) -> None:
    session.restart()


def drain(session: Session, step: Instruction) -> None:
    session.drain()


_COMMON = (store, store, store, load_held, load_held, load_held, load_held, invalidate, invalidate)
_COMMON += (invalidate, run, run, kick, bent, bent, raw, write_page, jump, invalidate_area, mark)
_RARE = (reconnect, live, write_header, tidy, tidy, verify, restart, drain)
_OPERATIONS = _COMMON * 11 + _RARE
_LITERALS = {raw: 32, write_page: 16}
_OF_ALL = {tidy, verify, restart, drain}
"""What no domain does."""


def play(session: Session, program: bytes, only: str | None = None) -> int:
    """Plays ``program``; with ``only``, as if the other domains were not there.

    Returns where it ended: at the end, or where there were requests enough.
    """
    at = 0
    while at + INSTRUCTION.size <= len(program) and session.requests < MOST_REQUESTS:
        kind, who, small, word, wide = INSTRUCTION.unpack_from(program, at)
        operation = _OPERATIONS[kind % len(_OPERATIONS)]
        at += INSTRUCTION.size
        literal = _LITERALS.get(operation, 0)
        step = Instruction(NAMES[who % len(NAMES)], small, word, wide, program[at : at + literal])
        at += literal
        if only in (None, step.name) or operation in _OF_ALL:
            operation(session, step)
        elif operation is run:
            session.run()
    for name in NAMES:
        if only in (None, name):
            session.kick(name)
    session.run()
    return at
