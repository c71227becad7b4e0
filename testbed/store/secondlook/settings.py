"""What the second look does, and what it may take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What the second look does, and what it may take."""

    pointers: bool = True
    """Keep twins that differ in their pointers as differences."""
    near_twins: bool = True
    """Compress pages that resemble another one beside that."""
    recompress: bool = True
    """Compress the others once more, by zstd."""
    cold_seconds: float = 5.0
    """A page that was not used for one to two times as long is cold."""
    cpu_share: float = 0.05
    """Of one CPU of dom0's."""
    pages_per_second: float = 500.0
