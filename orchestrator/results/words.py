"""Figures as people read them. A figure that there is none of is never shown as 0."""

from __future__ import annotations

__all__ = [
    "MISSING",
    "SECOND_LOOK_PARTS",
    "kilobytes",
    "microseconds",
    "percent",
    "seconds",
    "whole",
]

MISSING = "-"
SECOND_LOOK_PARTS = {
    "twins": "twins by their pointers",
    "near_twins": "near twins",
    "recompression": "cold pages recompressed",
}
"""The parts of the reduction that the store's second look adds, by their field's name."""


def kilobytes(value: float | None) -> str:
    """Bytes as KB of 1024 bytes."""
    return MISSING if value is None else f"{value / 1024:,.0f} KB"


def percent(value: float | None) -> str:
    """A fraction as a percentage."""
    return MISSING if value is None else f"{value:.1%}".replace("%", " %")


def seconds(value: float | None) -> str:
    """Seconds with one digit."""
    return MISSING if value is None else f"{value:,.1f} s"


def microseconds(value: float | None) -> str:
    """Whole microseconds."""
    return MISSING if value is None else f"{value:,.0f} µs"


def whole(value: float | None) -> str:
    """A whole number, without its unit."""
    return MISSING if value is None else f"{value:,.0f}"
