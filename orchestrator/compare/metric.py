"""The figures that two builds or settings are compared by, and which way is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "Direction", "Metric", "Unit"]

Direction = Literal["lower", "higher", "neither"]
Unit = Literal["s", "µs", "bytes", "pages", "share", "/s"]


@dataclass(frozen=True)
class Metric:
    """One figure of a run."""

    name: str
    """As ``summary.json`` and the experiments name it."""
    title: str
    """As people read it."""
    unit: Unit
    """``share`` is a fraction of 1."""
    better: Direction


METRICS = (
    Metric("guest_seconds", "guest time", "s", "lower"),
    Metric("wall_seconds", "host time", "s", "lower"),
    Metric("logical_bytes", "logical pages", "bytes", "neither"),
    Metric("payload_bytes", "payload", "bytes", "lower"),
    Metric("footprint_bytes", "footprint", "bytes", "lower"),
    Metric("reduction", "reduction", "share", "higher"),
    Metric("net_reduction", "net reduction", "share", "higher"),
    Metric("pages_out", "page-outs", "pages", "lower"),
    Metric("pages_in", "page-ins", "pages", "lower"),
    Metric("store_median_microseconds", "store, median", "µs", "lower"),
    Metric("load_median_microseconds", "load, median", "µs", "lower"),
    Metric("out_per_second", "page-outs /s", "/s", "higher"),
    Metric("in_per_second", "page-ins /s", "/s", "higher"),
)
"""All of them, in the order of tables. Each that has figures costs the others power (Holm)."""
