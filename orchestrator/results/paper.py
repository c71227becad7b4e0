"""The paper's own figures, as its section 2 and Figure 2 give them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAPER", "PaperFigures"]


@dataclass(frozen=True)
class PaperFigures:
    """What the paper says; what it does not say is not here. KB."""

    logical_kilobytes: tuple[int, ...] = (5000, 6000)
    """domU1 and domU2."""
    payload_kilobytes: int = 2700
    """dom0."""
    reduction: float = 0.75

    @property
    def total_kilobytes(self) -> int:
        """Swapped pages of both domUs."""
        return sum(self.logical_kilobytes)


PAPER = PaperFigures()
