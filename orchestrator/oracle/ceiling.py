"""The most that sharing could save, given which pages are in one class.

Of every class one payload must be kept, whole; a ceiling lets the smallest be
that one, and takes what tells the others from it to cost nothing. So no
sharer of these classes, however clever, saves more bytes of payload.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Ceiling", "ceiling", "most_saved"]


@dataclass(frozen=True)
class Ceiling:
    """Bytes of payload that could be saved at most."""

    within_bytes: int
    """By sharing inside each domain alone."""
    between_bytes: int
    """By sharing between domains as well: what remains."""

    @property
    def total_bytes(self) -> int:
        """Both together."""
        return self.within_bytes + self.between_bytes


def most_saved(classes: Iterable[Hashable], lengths: Iterable[int]) -> int:
    """Sum of the lengths without the smallest of each class; bytes."""
    smallest: dict[Hashable, int] = {}
    total = 0
    for name, length in zip(classes, lengths, strict=True):
        total += length
        smallest[name] = min(length, smallest.get(name, length))
    return total - sum(smallest.values())


def ceiling(domains: Sequence[int], classes: Sequence[int], lengths: Sequence[int]) -> Ceiling:
    """The ceiling of pages that are given column by column.

    Args:
        domains: which domain holds each page.
        classes: which pages could be kept as one.
        lengths: bytes of each page's own payload.
    """
    within = most_saved(zip(domains, classes, strict=True), lengths)
    return Ceiling(within, most_saved(classes, lengths) - within)
