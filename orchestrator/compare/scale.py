"""What a change is relative to.

Where every sample of both arms is above 0, changes are ratios, worked on as
logarithms: half and double are equally far, and to swap the arms turns every sign.
Where one is not (a net reduction can be below 0), they are differences, told as
shares of the base's median; of a median of 0 there are none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orchestrator.compare.ranks import Floats

__all__ = ["Scale", "choose_scale"]

DIGITS = 12
"""Decimal places of a logarithm: no figure is measured to a millionth of a millionth."""


@dataclass(frozen=True)
class Scale:
    """Turns samples into differences that can be ranked, and those into relative changes."""

    ratios: bool
    unit: float = 1.0
    """A difference of 100 %, in the metric's unit. Not for ratios."""

    def differences(self, base: Floats, other: Floats) -> Floats:
        """Of each ``other`` to its ``base``, by numpy's rules of shapes."""
        if not self.ratios:
            return other - base
        # Whether two ratios are tied must not hinge on the last bit of a logarithm.
        found: Floats = np.round(np.log(other) - np.log(base), DIGITS)
        return found

    def relative(self, difference: float | None) -> float | None:
        """A difference as a share of the base: 0.01 is 1 % more."""
        if difference is None or difference == 0:
            return difference
        if self.ratios:
            return float(np.expm1(difference))
        return difference / self.unit if self.unit else None

    def difference_of(self, relative: float) -> float:
        """The difference that so much more of the base is."""
        return round(math.log1p(relative), DIGITS) if self.ratios else relative * self.unit


def choose_scale(base: Floats, other: Floats) -> Scale:
    """Ratios where they can be had, else differences."""
    if (base > 0).all() and (other > 0).all():
        return Scale(ratios=True)
    return Scale(ratios=False, unit=float(abs(np.median(base))))
