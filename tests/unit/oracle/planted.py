"""Pages with planted twins, and a store's files that hold them."""

from __future__ import annotations

import random

import lz4.block
import numpy as np

PAGE = 4096
HEAP, MAPPED = 0x00C0_0000, 0x7F_8000_0000
"""Where two kinds of a process's memory begin without randomisation (39-bit addresses)."""


def page(seed: int, *, shift: int = 0, pointers: int = 40) -> bytes:
    """A page of a few words and of pointers; ``shift`` moves what these point to, in pages."""
    draw = random.Random(seed)
    known = [int.from_bytes(draw.randbytes(8), "little") | 1 << 63 for _ in range(8)]
    words = np.array([draw.choice(known) for _ in range(512)], dtype="<u8")
    for place in draw.sample(range(512), pointers):
        base = HEAP if draw.random() < 0.5 else MAPPED
        words[place] = base + draw.randrange(1 << 20) * 8 + shift * PAGE
    return words.tobytes()


def stacked(pages) -> np.ndarray:
    return np.frombuffer(b"".join(pages), dtype=np.uint8).reshape(-1, PAGE)


def compressed(page: bytes) -> bytes:
    return lz4.block.compress(page, store_size=False)
