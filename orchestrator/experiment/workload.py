"""``[workload]``: what the domUs do."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.experiment.table import CheckoutPath, Table

__all__ = ["CHECKED", "MAKING", "Mix", "Shares", "Workload", "WorkloadKind"]

WorkloadKind = Literal["kernel-compile", "script", "page-stream", "churn", "working-set"]
MAKING: tuple[WorkloadKind, ...] = ("kernel-compile", "script")
"""Those that make something, whose digests must be those of a run without swap."""
CHECKED: tuple[WorkloadKind, ...] = (*MAKING, "working-set")
"""Those whose digests are compared with the right ones."""

OF_KINDS: dict[str, tuple[WorkloadKind, ...]] = {
    "objects_file": ("kernel-compile",),
    "target": ("kernel-compile",),
    "resume": ("kernel-compile",),
    "script_file": ("script",),
    "reference_memory_mib": MAKING,
    "pages": ("page-stream", "churn", "working-set"),
    "mix": ("page-stream",),
    "rounds": ("page-stream", "working-set"),
    "shares": ("working-set",),
    "similar_words": ("working-set",),
    "rewrite": ("working-set",),
    "loops": ("churn",),
    "seconds": ("churn",),
}
"""Which kinds of workload a key belongs to."""


class PageKinds(Table):
    """Parts of several kinds of page, whatever they sum to."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not sum(self.parts.values()):
            raise ValueError("at least one kind of page must have a part above 0")
        return self

    @property
    def parts(self) -> dict[str, int]:
        """The parts by pagegen's name of the kind."""
        return self.model_dump()


class Mix(PageKinds):
    """Which pages a stream is made of."""

    zero: int = Field(default=0, ge=0, le=1000)
    same: int = Field(default=0, ge=0, le=1000)
    """One word repeated, another one on each page."""
    text: int = Field(default=0, ge=0, le=1000)
    random: int = Field(default=0, ge=0, le=1000)


class Shares(PageKinds):
    """Which pages a working set is made of."""

    zero: int = Field(default=0, ge=0, le=1000)
    equal: int = Field(default=0, ge=0, le=1000)
    """Text; the same in every domU, by page number and version."""
    similar: int = Field(default=0, ge=0, le=1000)
    """As ``equal``, but for a few pointers that are moved in each domU."""
    text: int = Field(default=0, ge=0, le=1000)
    """Text of one domU alone."""
    random: int = Field(default=0, ge=0, le=1000)
    """Incompressible, of one domU alone."""


class Workload(Table):
    """What every domU does, all from one barrier."""

    kind: WorkloadKind
    objects_file: CheckoutPath | None = None
    """``kernel-compile``: a file of ``make`` targets, one a line."""
    target: Literal["vmlinux"] | None = None
    """A whole build in place of a list of objects."""
    script_file: CheckoutPath | None = None
    """``script``: a file for ``sh``, which runs beside the toolchain and the kernel tree.
    What it prints must be the same each time."""
    resume: bool = False
    """Go on object by object after an interruption."""
    reference_memory_mib: int = Field(default=512, ge=128, le=4096)
    """Memory of the run that does not swap, whose digests are the right ones."""
    pages: int | None = Field(default=None, ge=64, le=1 << 20)
    """``page-stream``: how many pages go out and come back; ``churn``: of each loop;
    ``working-set``: of each domU, more than its memory has room for."""
    mix: Mix | None = None
    rounds: int = Field(default=1, ge=1, le=100)
    """``page-stream``: how often, with other contents each time; ``working-set``: how
    often every page is touched; it is filled before, and read once more at the end."""
    shares: Shares | None = None
    similar_words: int = Field(default=8, ge=1, le=64)
    """``working-set``: in how many words of 8 bytes ``similar`` pages differ between domUs."""
    rewrite: float = Field(default=0.0, ge=0, le=1, strict=False)
    """``working-set``: the share of touches that give the page new content of its kind, to
    a thousandth; all others read the page and compare every byte."""
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
        elif self.kind == "working-set":
            if self.pages is None or self.shares is None:
                raise ValueError("pages and shares must be given")
        elif self.kind == "script":
            if self.script_file is None:
                raise ValueError("script_file must be given")
        elif (self.objects_file is None) == (self.target is None):
            raise ValueError("exactly one of objects_file and target must be given")
        return self
