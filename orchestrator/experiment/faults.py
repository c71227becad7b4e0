"""``[[variant.fault]]``: what goes wrong on purpose while a variant runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.experiment.table import Name, Table

__all__ = ["Fault", "FaultKind"]

FaultKind = Literal["kill-store", "freeze-store", "destroy-domain"]

Span = Annotated[tuple[float, float], Field(strict=False)]


class Fault(Table):
    """One kind of fault, struck ``count`` times."""

    kind: FaultKind
    count: int = Field(ge=1, le=1000)
    mean_gap_seconds: float = Field(default=20, gt=0, le=3600, strict=False)
    """Mean of the exponential gaps between recovery from one fault and the next."""
    domain: Name | None = None
    """``destroy-domain``: which domU, one whose ``workload`` is ``pages``."""
    seconds: Span | None = None
    """``freeze-store``: shortest and longest time."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Fault:
        for name, kind in (("domain", "destroy-domain"), ("seconds", "freeze-store")):
            given = getattr(self, name) is not None
            if given and self.kind != kind:
                raise ValueError(f"{name}: only a fault of kind {kind!r} has it")
            if not given and self.kind == kind:
                raise ValueError(f"{name}: a fault of kind {kind!r} needs it")
        if self.seconds is not None and not 0 < self.seconds[0] <= self.seconds[1] <= 600:
            raise ValueError("seconds: the shortest and the longest time, above 0, at most 600")
        return self
