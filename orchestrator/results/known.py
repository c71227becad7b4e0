"""Figures of several domUs taken together: one that is missing makes the whole unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["if_all_known"]


def if_all_known(
    together: Callable[[list[float]], float], values: Iterable[float | None]
) -> float | None:
    """None where a part of it is missing, or where there is none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return float(together(known)) if known and len(known) == len(found) else None
