"""Pages of processes that address randomisation has put to different places."""

from __future__ import annotations

import random
import struct

PARTS = {
    "program": 0x55_5555_5000 + (0x1234 << 12),
    "heap": 0x55_6000_0000,
    "mappings": (1 << 39) - (1 << 32),
    "stack": (1 << 39) - (1 << 21),
}
"""Where parts of a process of a 39-bit space begin, before they are moved."""


def process_page(
    seed: int, moved: dict[str, int] | None = None, pointers: int = 200, noise: bool = True
) -> bytes:
    """A page with ``pointers`` pointers to the parts, each moved by so many pages."""
    spread = random.Random(seed)
    words = [spread.choice((0, 1, 7, spread.getrandbits(20), 1 << 63)) for _ in range(512)]
    if not noise:  # it compresses well
        words = [0] * 512
    for at in spread.sample(range(512), pointers):
        part = spread.choice(sorted(PARTS))
        target = PARTS[part] + spread.randrange(1 << 20)
        words[at] = target + ((moved or {}).get(part, 0) << 12)
    return struct.pack("<512Q", *words)
