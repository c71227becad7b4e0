"""What is said of a metric, once its interval and its p are known."""

from __future__ import annotations

from orchestrator.compare.metric import Direction
from orchestrator.compare.model import Verdict
from orchestrator.compare.shift import Shift

__all__ = ["judge"]


def judge(shift: Shift, significant: bool, effect: float, better: Direction) -> Verdict:
    """A change needs both: significant after Holm, and an interval beyond the smallest effect.

    Holm bounds how often anything at all is seen where nothing changed. That a
    change is larger than the smallest effect is said at the interval's confidence,
    for each metric alone, as is 'no change'.

    Args:
        shift: of the other arm from the base.
        significant: by the adjusted p.
        effect: the smallest, in the shift's unit.
        better: which way is.
    """
    if shift.low is None or shift.high is None:
        return "unclear"
    if -effect <= shift.low and shift.high <= effect:
        return "no change"
    more, less = shift.low > effect, shift.high < -effect
    if not significant or not (more or less):
        return "unclear"
    if better == "neither":
        return "changed"
    return "better" if less == (better == "lower") else "worse"
