"""An experiment again and again, in one run: what a comparison needs samples from."""

from __future__ import annotations

from orchestrator.ab.plan import variant_name
from orchestrator.experiment import Experiment

__all__ = ["repeated"]


def repeated(experiment: Experiment, times: int) -> Experiment:
    """Every variant ``times`` over, interleaved; repetition n has the seed n above the file's."""
    variants = tuple(
        one.model_copy(
            update={
                "name": variant_name(one.name, 0, number),
                "title": f"{one.label}, {number}",
                "seed": experiment.seed + number,
            }
        )
        for number in range(1, times + 1)
        for one in experiment.variants
    )
    return experiment.model_copy(update={"variant": variants})
