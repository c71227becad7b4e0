"""``second_look``: whether, and how, the store keeps cold pages smaller."""

from __future__ import annotations

from pydantic import Field

from orchestrator.experiment.table import Table

__all__ = ["SecondLook"]


class SecondLook(Table):
    """What the store does to pages that were not used for a while.

    The same keys as in the store's own configuration, ``testbed/store/secondlook``.
    """

    pointers: bool = True
    """Keep pages that differ in their pointers only as differences."""
    near_twins: bool = True
    """Compress pages that resemble another one beside that."""
    recompress: bool = True
    """Compress the others once more, by zstd."""
    cold_seconds: float = Field(default=5.0, ge=0.01, le=3600, strict=False)
    """A page that was not used for one to two times as long is cold; seconds of dom0's
    clock."""
    cpu_share: float = Field(default=0.05, ge=0.001, le=1, strict=False)
    """Of one CPU of dom0's, at the most."""
    pages_per_second: float = Field(default=500.0, ge=1, le=1e6, strict=False)
    """Looked at, at the most."""
