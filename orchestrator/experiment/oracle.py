"""``[oracle]``: whether, and when, to look at how much sharing is possible."""

from __future__ import annotations

from pydantic import Field

from orchestrator.experiment.table import Table

__all__ = ["Oracle"]


class Oracle(Table):
    """A look at each variant that has the store, while its workload runs.

    The domUs are paused for it, for a second or a few; what that adds to their
    times is taken off again.
    """

    at_seconds: float | None = Field(default=None, gt=0, le=7 * 24 * 3600, strict=False)
    """When: seconds of dom0's clock since the workload began. Where left out, near the
    peak of swapped pages: at each highest that lies half above that of the last look,
    and the last look counts."""
    resident: bool = True
    """Whether to look at the domUs' memory, too."""
