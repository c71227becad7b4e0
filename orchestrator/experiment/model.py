"""The shape of an experiment file.

Every field says what is allowed in its own constraints, so that the message
for a bad value (``load.py``) can be made from them. Values are checked
strictly: a number in quotes is not a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from orchestrator.errors import UserError
from orchestrator.experiment.domu import Domu, DomuImage
from orchestrator.experiment.oracle import Oracle
from orchestrator.experiment.table import CheckoutPath, DomainName, KernelArguments, Name, Table
from orchestrator.experiment.variant import Variant
from orchestrator.experiment.workload import MAKING, Workload, WorkloadKind

__all__ = [
    "Domain",
    "Experiment",
    "Limits",
    "Statistics",
    "Store",
]

MIB = 1024 * 1024
PAGE_SIZE = 4096
KERNEL_MIB = 32
"""What a domU's kernel and its few processes need beside a working set."""


class Domain(Table):
    """One domU."""

    name: DomainName
    memory_mib: int = Field(ge=32, le=4096)
    vcpus: int = Field(default=1, ge=1, le=8)
    quota_mib: int = Field(ge=1, le=4096)
    """Payload that it may be charged for in the store."""
    swap_mib: int = Field(ge=16, le=16384)
    """Its swap disk, which takes what the store does not."""
    group: Name = "all"
    """Pages are shared inside a group only."""
    kernel_arguments: KernelArguments = ()
    """Further words for its kernel's command line."""
    workload: Literal[WorkloadKind, "pages"] | None = None
    """What it does: the experiment's workload where left out; ``pages``: it fills
    pages, has them reclaimed and verifies them, over and over, until the end."""
    pages: int = Field(default=4096, ge=64, le=1 << 20)
    """How many, where its workload is ``pages``."""
    objects_file: CheckoutPath | None = None
    """``kernel-compile``: what it builds in place of the workload's objects."""
    variants: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """In which variants it is there; in all of them where left out."""

    @property
    def pages_only(self) -> bool:
        """Whether it pages all the time, in place of the experiment's workload."""
        return self.workload == "pages"


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


class Limits(Table):
    """Deadlines, before the slowness factor."""

    boot_seconds: int = Field(default=120, ge=10, le=3600)
    """From QEMU's start until every domU answers SSH."""
    variant_seconds: int = Field(default=480, ge=10, le=7 * 24 * 3600)
    """One variant's workload, from the barrier to the last domU's end."""


Variants = Annotated[tuple[Variant, ...], Field(strict=False, min_length=1, max_length=64)]
Domains = Annotated[tuple[Domain, ...], Field(strict=False, min_length=1, max_length=16)]


class Experiment(Table):
    """A whole experiment file.

    What is excluded from a dump is not part of the file: ``load_experiment``
    reads it from the files that it names.
    """

    name: Name
    title: str
    description: str = ""
    seed: int = Field(default=1, ge=0, le=1 << 31)
    """Of everything that is drawn: when faults strike, what pages hold; and of the
    machine's randomness, where ``timing`` is ``icount``."""
    timing: Literal["realtime", "icount"] = "realtime"
    """The guests' clock: the host's, which is quicker; or counted instructions of one
    CPU, which repeats."""
    warm_start: bool | None = None
    """Start from a machine that was kept after its boot, if there is one of the same
    inputs; where left out, if ``timing`` is ``icount``."""
    workload: Workload
    variant: Variants
    domain: Domains
    domu: Domu = Domu()
    store: Store = Store()
    statistics: Statistics = Statistics()
    limits: Limits = Limits()
    oracle: Oracle | None = None
    """Looks at how much sharing is possible; none where left out."""
    objects: Annotated[tuple[str, ...], Field(strict=False, exclude=True, repr=False)] = ()
    """From the workload's ``objects_file``, or its ``target``."""
    other_objects: Mapping[str, tuple[str, ...]] = Field(default={}, exclude=True, repr=False)
    """From the ``objects_file`` of a domU that has its own, by the domU's name."""
    script: str = Field(default="", exclude=True, repr=False)
    """From the workload's ``script_file``."""

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
        arena = self.store.arena_mib
        for variant in self.variant if arena is not None else ():
            domains = self.domains_of(variant)
            needed = sum(self.quota_bytes(domain, variant) for domain in domains) // MIB
            if arena is not None and arena < needed:
                raise ValueError(
                    f"store.arena_mib = {arena} is too small: the quotas of all domains "
                    f"sum to {needed}, and it must be at least that"
                )
        return self

    @model_validator(mode="after")
    def _workloads_fit(self) -> Experiment:
        kind = self.workload.kind
        for domain in self.domain:
            if domain.workload not in (None, kind, "pages"):
                raise ValueError(
                    f"domain {domain.name}: workload = {domain.workload!r} is not the "
                    f"experiment's own, {kind!r}, nor 'pages'"
                )
            known = [variant.name for variant in self.variant]
            own = domain.objects_file is not None
            if own and (self.workload.objects_file is None or domain.pages_only):
                raise ValueError(
                    f"domain {domain.name}: objects_file: only in place of the workload's own"
                )
            for name in domain.variants:
                if name not in known:
                    raise ValueError(
                        f"domain {domain.name}: variants: there is no {name!r}; "
                        f"there are: {', '.join(known)}"
                    )
        for variant in self.variant:
            _check_variant(self, variant)
        return self

    @model_validator(mode="after")
    def _oracle_can_look(self) -> Experiment:
        if self.oracle is not None:
            _check_oracle(self)
        return self

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The runs, in the order of the file."""
        return self.variant

    def only(self, names: Sequence[str]) -> Experiment:
        """The same experiment with these variants alone, in the order of the file.

        Raises:
            UserError: there is no variant of one of the names.
        """
        known = [variant.name for variant in self.variant]
        if unknown := [name for name in names if name not in known]:
            raise UserError(
                f"{self.name}: there is no variant {unknown[0]!r}; there are: {', '.join(known)}"
            )
        kept = tuple(variant for variant in self.variant if variant.name in names)
        return self.model_copy(update={"variant": kept})

    def with_image(self, image: DomuImage) -> Experiment:
        """The same experiment with domU images made otherwise."""
        return self.model_copy(update={"domu": self.domu.model_copy(update={"image": image})})

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The domUs, in the order of the file."""
        return self.domain

    def domains_of(self, variant: Variant) -> tuple[Domain, ...]:
        """The domUs that are there in one variant."""
        there = [one for one in self.domain if not one.variants or variant.name in one.variants]
        return tuple(there[: variant.domains])

    @property
    def all_objects(self) -> tuple[str, ...]:
        """What any domU builds, each object once."""
        lists = (self.objects_of(domain) for domain in self.domain)
        return tuple(dict.fromkeys(name for names in lists for name in names))

    def objects_of(self, domain: Domain) -> tuple[str, ...]:
        """What a domU builds."""
        return self.other_objects.get(domain.name, self.objects)

    @property
    def named_files(self) -> tuple[str, ...]:
        """The files that its work comes from beside its own, relative to the checkout."""
        workload = self.workload
        named = [workload.objects_file, workload.script_file]
        named += [domain.objects_file for domain in self.domain]
        return tuple(sorted({name for name in named if name is not None}))

    def quota_bytes(self, domain: Domain, variant: Variant) -> int:
        """A domU's quota in the store in one variant; 0 where there is no store."""
        if variant.swap != "pageshare":
            return 0
        return (variant.quota_mib or domain.quota_mib) * MIB

    def arena_bytes(self, variant: Variant) -> int:
        """Memory for payloads in bytes: as configured, or the sum of the quotas."""
        if self.store.arena_mib is not None:
            return self.store.arena_mib * MIB
        quotas = (self.quota_bytes(domain, variant) for domain in self.domains_of(variant))
        return max(sum(quotas), PAGE_SIZE)


def _check_oracle(experiment: Experiment) -> None:
    """``ValueError`` where the oracle could not look, or would disturb what is measured."""
    if experiment.workload.kind not in MAKING:
        kinds = " or ".join(map(repr, MAKING))
        raise ValueError(f"oracle: it looks at a workload of kind {kinds} only")
    if experiment.timing == "icount":
        raise ValueError(
            "oracle: not with timing = 'icount': how long it takes goes by the host's clock, "
            "so that two runs would not be alike any more"
        )
    looked_at = [variant for variant in experiment.variant if variant.swap == "pageshare"]
    if not looked_at:
        raise ValueError("oracle: it looks at the store, and no variant has swap = 'pageshare'")
    for variant in looked_at:
        if variant.fault or any(one.pages_only for one in experiment.domains_of(variant)):
            raise ValueError(
                f"oracle: variant {variant.name} has faults, or a domain whose workload is "
                "'pages': with these it does not look"
            )
        if variant.compressor == "lzo":
            raise ValueError(
                f"oracle: variant {variant.name}: compressor = 'lzo' cannot be read on the "
                "host; allowed: 'lz4', 'zstd'"
            )


def _check_variant(experiment: Experiment, variant: Variant) -> None:
    """``ValueError`` where a variant asks for what the experiment's domUs do not do."""
    kind = experiment.workload.kind
    if experiment.timing == "icount" and (kind == "churn" or variant.fault):
        raise ValueError(
            f"variant {variant.name}: timing = 'icount': faults and churn go by the host's clock"
        )
    domains = experiment.domains_of(variant)
    if all(domain.pages_only for domain in domains):
        raise ValueError(f"variant {variant.name}: no domain has the workload {kind!r}")
    if kind == "working-set":
        _check_working_set(experiment, variant)
    if variant.swap != "pageshare" and kind == "churn":
        raise ValueError(
            f"variant {variant.name}: swap = {variant.swap!r} is not for the workload 'churn'"
        )
    if variant.domains is not None and len(domains) < variant.domains:
        raise ValueError(
            f"variant {variant.name}: domains = {variant.domains}, but the file has only "
            f"{len(domains)} for it"
        )
    if variant.fault and experiment.workload.objects_file is None:
        raise ValueError(
            f"variant {variant.name}: faults need a workload.objects_file, "
            "which is built again until all have struck"
        )
    if variant.lies_to is not None:
        if kind != "churn":
            raise ValueError(f"variant {variant.name}: lies_to is for the workload 'churn'")
        if variant.lies_to not in [domain.name for domain in domains]:
            raise ValueError(
                f"variant {variant.name}: lies_to: there is no domain {variant.lies_to!r} in it"
            )
    victims = {domain.name for domain in domains if domain.pages_only}
    for fault in variant.fault:
        if fault.domain is not None and fault.domain not in victims:
            raise ValueError(
                f"variant {variant.name}: fault {fault.kind}: {fault.domain!r} is no domain "
                "of it whose workload is 'pages'"
            )


def _check_working_set(experiment: Experiment, variant: Variant) -> None:
    """``ValueError`` where a domU has no room for its set, or does something else."""
    pages = experiment.workload.pages or 0
    size = -(-pages * PAGE_SIZE // MIB)
    for domain in experiment.domains_of(variant):
        where = f"variant {variant.name}, domain {domain.name}"
        if domain.pages_only:
            raise ValueError(f"{where}: workload = 'pages' does not go with 'working-set'")
        memory = variant.memory_mib or domain.memory_mib
        if variant.swap == "none" and memory < size + KERNEL_MIB:
            raise ValueError(
                f"{where}: without swap, the {size} MiB of workload.pages = {pages} need "
                f"memory_mib = {size + KERNEL_MIB} or more, and it has {memory}"
            )
        # the first page of a swap device is no slot
        if variant.swap != "none" and domain.swap_mib <= size:
            raise ValueError(
                f"{where}: swap_mib = {domain.swap_mib} does not hold the {size} MiB of "
                f"workload.pages = {pages}; it must be more than that"
            )
