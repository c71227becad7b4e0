"""What several tests of the machine need."""

from __future__ import annotations

from orchestrator.deadline import Deadline

__all__ = ["soon"]


def soon() -> Deadline:
    """Later than anything here takes."""
    return Deadline.after(30)
