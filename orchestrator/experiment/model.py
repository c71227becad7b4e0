"""The shape of an experiment file.

Every field says what is allowed in its own constraints, so that the message
for a bad value (``load.py``) can be made from them. Values are checked
strictly: a number in quotes is not a number.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "Domain",
    "Experiment",
    "Limits",
    "Statistics",
    "Store",
    "Variant",
    "Workload",
]

MIB = 1024 * 1024

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$",
        description="a letter, then up to 30 letters, digits, '_' or '-'",
    ),
]


class Table(BaseModel):
    """A TOML table: frozen, strict, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Variant(Table):
    """One run of the experiment: what differs from the other runs."""

    name: Name
    title: str = ""
    """How the report and the table call it; the name where empty."""
    randomize_va_space: Literal[0, 1, 2]
    """The guests' ``kernel.randomize_va_space``: 2 is the kernel's default, 0 is off."""

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name


class Domain(Table):
    """One domU."""

    name: Name
    memory_mib: int = Field(ge=32, le=4096)
    quota_mib: int = Field(ge=1, le=4096)
    """Payload that it may be charged for in the store."""
    swap_mib: int = Field(ge=16, le=16384)
    """Its swap disk, which takes what the store does not."""
    group: Name = "all"
    """Pages are shared inside a group only."""

    @property
    def quota_bytes(self) -> int:
        """The quota in bytes."""
        return self.quota_mib * MIB


class Store(Table):
    """How the dom0 service is set up."""

    arena_mib: int | None = Field(default=None, ge=1, le=16384)
    """Memory for payloads; the sum of the quotas where left out."""
    mark_interval_ms: int = Field(default=500, ge=50, le=1000)
    """How often each domU sends a MARK: at least once a second."""
    max_data_pages: int = Field(default=256, ge=1, le=1024)
    """Most data pages of one domU; the protocol's own limit is 1024."""


class Statistics(Table):
    """How often the host samples."""

    samples_per_second: float = Field(default=3, ge=1, le=10, strict=False)
    longest_gap_seconds: float = Field(default=2, gt=0, le=60, strict=False)
    """A longer silence of the store, or of QMP, is noted as a gap."""


class Workload(Table):
    """What every domU does, all from one barrier."""

    kind: Literal["kernel-compile"]
    objects_file: str | None = None
    """A list of ``make`` targets, one a line, relative to the checkout."""
    target: Literal["vmlinux"] | None = None
    """A whole build in place of a list of objects."""
    resume: bool = False
    """Go on object by object after an interruption."""
    reference_memory_mib: int = Field(default=512, ge=128, le=4096)
    """Memory of the run that does not swap, whose digests are the right ones."""

    @model_validator(mode="after")
    def _one_goal(self) -> Workload:
        if (self.objects_file is None) == (self.target is None):
            raise ValueError("exactly one of objects_file and target must be given")
        return self

    @field_validator("objects_file")
    @classmethod
    def _inside_the_checkout(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("/") or ".." in value.split("/")):
            raise ValueError("must be a path inside the checkout, without '..'")
        return value


class Limits(Table):
    """Deadlines, before the slowness factor."""

    boot_seconds: int = Field(default=120, ge=10, le=3600)
    """From QEMU's start until every domU answers SSH."""
    variant_seconds: int = Field(default=480, ge=10, le=7 * 24 * 3600)
    """One variant's workload, from the barrier to the last domU's end."""


Variants = Annotated[tuple[Variant, ...], Field(strict=False, min_length=1, max_length=16)]
Domains = Annotated[tuple[Domain, ...], Field(strict=False, min_length=1, max_length=16)]


class Experiment(Table):
    """A whole experiment file.

    ``objects`` is not part of the file: ``load_experiment`` reads it from the
    workload's ``objects_file``, or takes the workload's ``target``.
    """

    name: Name
    title: str
    description: str = ""
    workload: Workload
    variant: Variants
    domain: Domains
    store: Store = Store()
    statistics: Statistics = Statistics()
    limits: Limits = Limits()
    objects: Annotated[tuple[str, ...], Field(strict=False, exclude=True, repr=False)] = ()

    @field_validator("variant", "domain")
    @classmethod
    def _names_differ(
        cls, value: tuple[Variant, ...] | tuple[Domain, ...]
    ) -> tuple[Variant, ...] | tuple[Domain, ...]:
        names = [item.name for item in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names must differ; used twice: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _arena_holds_the_quotas(self) -> Experiment:
        needed = sum(domain.quota_mib for domain in self.domain)
        arena = self.store.arena_mib
        if arena is not None and arena < needed:
            raise ValueError(
                f"store.arena_mib = {arena} is too small: the quotas of all domains "
                f"sum to {needed}, and it must be at least that"
            )
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The runs, in the order of the file."""
        return self.variant

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The domUs, in the order of the file."""
        return self.domain

    @property
    def arena_bytes(self) -> int:
        """Memory for payloads in bytes: as configured, or the sum of the quotas."""
        if self.store.arena_mib is not None:
            return self.store.arena_mib * MIB
        return sum(domain.quota_bytes for domain in self.domain)
