"""Which runs an A/B takes: arms and repetitions as variants of one experiment.

So the runs are an experiment's like any other, with their samples and verdicts,
and everything that reads a run's folder reads these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.errors import UserError
from orchestrator.experiment import Experiment, Variant

__all__ = ["Repetition", "Step", "plan", "repetition_of", "variant_name"]

_NAME = re.compile(r"(?P<variant>.+)-p(?P<patches>\d+)-r(?P<number>\d+)$")


@dataclass(frozen=True)
class Step:
    """Two arms that are compared, by how many of the patches are in them."""

    base: int
    other: int

    @property
    def names(self) -> tuple[str, str]:
        """As the table calls the arms."""
        return _arm(self.base), _arm(self.other)


def plan(
    experiment: Experiment, patches: int, repeat: int, *, each: bool = False
) -> tuple[Experiment, list[Step]]:
    """The experiment that runs every variant in every arm, ``repeat`` times.

    Repetitions are interleaved, arm by arm, and which arm goes first alternates:
    what changes on the host meanwhile strikes all alike. Repetition n has the seed
    n above the experiment's, in every arm.

    Args:
        patches: how many there are.
        each: an arm after each patch, in place of one after all of them.

    Raises:
        UserError: nothing to compare, or more than an experiment can have.
    """
    if patches < 1 or repeat < 1:
        raise UserError("nothing to compare: at least one patch and one repetition are needed")
    counts = list(range(patches + 1)) if each else [0, patches]
    variants: list[Variant] = []
    for number in range(1, repeat + 1):
        order = counts if number % 2 else counts[::-1]
        variants += [
            _variant(one, count, number, experiment.seed + number)
            for one in experiment.variants
            for count in order
        ]
    steps = [Step(base, other) for base, other in pairwise(counts)]
    update = {"name": f"ab-{experiment.name}"[:31], "variant": tuple(variants)}
    return experiment.model_copy(update=update), steps


def variant_name(name: str, patches: int, repetition: int) -> str:
    """Of one variant of the experiment, in one arm."""
    return f"{name}-p{patches}-r{repetition:03}"


@dataclass(frozen=True)
class Repetition:
    """What a name that ``variant_name`` made says."""

    variant: str
    """As the experiment calls it."""
    patches: int
    number: int


def repetition_of(name: str) -> Repetition | None:
    """None for a name that ``variant_name`` did not make."""
    found = _NAME.match(name)
    if found is None:
        return None
    return Repetition(found["variant"], int(found["patches"]), int(found["number"]))


def _variant(one: Variant, patches: int, repetition: int, seed: int) -> Variant:
    return one.model_copy(
        update={
            "name": variant_name(one.name, patches, repetition),
            "title": f"{one.label}, {_arm(patches)}, {repetition}",
            "patches": patches,
            "seed": seed,
        }
    )


def _arm(patches: int) -> str:
    if patches == 0:
        return "base"
    return "1 patch" if patches == 1 else f"{patches} patches"
