"""How far arrays by page id grow when they must."""

from __future__ import annotations

__all__ = ["room_for"]

_SPARE = 64


def room_for(end: int) -> int:
    """Items of an array that must hold the page ids below ``end``.

    More than is needed now: such an array grows by one page at a time.
    """
    return end + _SPARE + end // 32
