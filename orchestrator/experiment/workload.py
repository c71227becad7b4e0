"""``[workload]``: what the domUs do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from orchestrator.experiment.table import Table

__all__ = ["Mix", "Workload", "WorkloadKind"]

WorkloadKind = Literal["kernel-compile", "page-stream", "churn"]

OF_KINDS: dict[str, tuple[WorkloadKind, ...]] = {
    "objects_file": ("kernel-compile",),
    "target": ("kernel-compile",),
    "resume": ("kernel-compile",),
    "reference_memory_mib": ("kernel-compile",),
    "pages": ("page-stream", "churn"),
    "mix": ("page-stream",),
    "rounds": ("page-stream",),
    "loops": ("churn",),
    "seconds": ("churn",),
}
"""Which kinds of workload a key belongs to."""


class Mix(Table):
    """Which pages a stream is made of: parts of each kind, whatever they sum to."""

    zero: int = Field(default=0, ge=0, le=1000)
    same: int = Field(default=0, ge=0, le=1000)
    """One word repeated, another one on each page."""
    text: int = Field(default=0, ge=0, le=1000)
    random: int = Field(default=0, ge=0, le=1000)

    @model_validator(mode="after")
    def _something(self) -> Mix:
        if not sum(self.parts.values()):
            raise ValueError("at least one kind of page must have a part above 0")
        return self

    @property
    def parts(self) -> dict[str, int]:
        """The parts by pagegen's name of the kind."""
        return self.model_dump()


class Workload(Table):
    """What every domU does, all from one barrier."""

    kind: WorkloadKind
    objects_file: str | None = None
    """``kernel-compile``: ``make`` targets, one a line, relative to the checkout."""
    target: Literal["vmlinux"] | None = None
    """A whole build in place of a list of objects."""
    resume: bool = False
    """Go on object by object after an interruption."""
    reference_memory_mib: int = Field(default=512, ge=128, le=4096)
    """Memory of the run that does not swap, whose digests are the right ones."""
    pages: int | None = Field(default=None, ge=64, le=1 << 20)
    """``page-stream``: how many pages go out and come back; ``churn``: of each loop."""
    mix: Mix | None = None
    rounds: int = Field(default=1, ge=1, le=100)
    """How often; each round has other contents."""
    loops: int = Field(default=1, ge=1, le=16)
    """``churn``: processes at once in a domU, each of which fills pages, has them
    reclaimed and verifies them, over and over."""
    seconds: int | None = Field(default=None, ge=5, le=24 * 3600)
    """``churn``: for how long."""

    @model_validator(mode="after")
    def _one_goal(self) -> Workload:
        for name in self.model_fields_set & OF_KINDS.keys():
            if self.kind not in OF_KINDS[name]:
                kinds = " or ".join(map(repr, OF_KINDS[name]))
                raise ValueError(f"{name}: only a workload of kind {kinds} has it")
        if self.kind == "page-stream":
            if self.pages is None or self.mix is None:
                raise ValueError("pages and mix must be given")
        elif self.kind == "churn":
            if self.pages is None or self.seconds is None:
                raise ValueError("pages and seconds must be given")
        elif (self.objects_file is None) == (self.target is None):
            raise ValueError("exactly one of objects_file and target must be given")
        return self

    @field_validator("objects_file")
    @classmethod
    def _inside_the_checkout(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("/") or ".." in value.split("/")):
            raise ValueError("must be a path inside the checkout, without '..'")
        return value
