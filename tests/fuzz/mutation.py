"""Changes to programs that leave most of a program as it was.

A program is a row of 16-byte instructions, so that what is cut, doubled or moved
stays meaningful.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

__all__ = ["INSTRUCTION", "mutate"]

INSTRUCTION = struct.Struct("<BBHIQ")
"""Kind, who, and what else the kind wants to know."""

Bend = Callable[[bytes], bytes]


def mutate(program: bytes, most: int, draw: random.Random, bend: Bend) -> bytes:
    """A program of ``most`` bytes or less; ``bend`` changes a few bytes of what it is given."""
    size = INSTRUCTION.size
    steps = [program[at : at + size] for at in range(0, len(program) - size + 1, size)]
    if not steps:
        return draw.randbytes(16 * size)[:most]
    if draw.random() < 0.1:
        return bend(program)[:most]
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        _change(steps, draw, bend)
    return b"".join(steps)[:most]


def _change(steps: list[bytes], draw: random.Random, bend: Bend) -> None:
    size, at, way = INSTRUCTION.size, draw.randrange(len(steps)), draw.randrange(7)
    if way == 0:
        steps.insert(at, draw.randbytes(size))
    elif way == 1 and len(steps) > 4:
        del steps[at : at + draw.randint(1, 4)]
    elif way == 2:
        steps[at:at] = steps[at : at + draw.randint(1, 12)] * draw.randint(1, 3)
    elif way == 3:
        other = draw.randrange(len(steps))
        steps[at], steps[other] = steps[other], steps[at]
    elif way == 4:
        steps.insert(at, draw.randbytes(2) + steps[at][2:])
    elif way == 5:
        steps[at] = bend(steps[at]).ljust(size, b"\0")[:size]
    else:
        kept = draw.choice((1, 2, 4, 8))
        steps[at] = steps[at][:kept] + draw.randbytes(size - kept)
    if not steps:
        steps.append(draw.randbytes(size))
