"""How far repetitions of the same work lie apart on a clock that should repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from orchestrator.results.summary import VariantSummary

__all__ = ["guest_time_spread"]

_OUTSIDE = {"name", "title", "host_load"}
"""Of a variant: what the guests cannot know."""


def guest_time_spread(
    described: Sequence[Mapping[str, Any]], variants: Sequence[VariantSummary]
) -> float | None:
    """The largest spread of a domU's counted time over variants with the same inputs.

    (largest - smallest) / median, as a fraction; None where no two variants have
    the same inputs and counted times.

    Args:
        described: the variants as the experiment file has them.
    """
    alike: dict[str, list[str]] = {}
    for one in described:
        inputs = {key: value for key, value in one.items() if key not in _OUTSIDE}
        alike.setdefault(json.dumps(inputs, sort_keys=True), []).append(str(one["name"]))
    spreads = []
    for names in alike.values():
        times: dict[str, list[float]] = {}
        for variant in variants:
            for domain in variant.domains if variant.name in names else ():
                if domain.instruction_seconds is not None:
                    times.setdefault(domain.name, []).append(domain.instruction_seconds)
        spreads += [(max(t) - min(t)) / median(t) for t in times.values() if len(t) > 1]
    return max(spreads, default=None)
