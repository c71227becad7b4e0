"""``[[variant]]``: one run of an experiment, and where its swapped pages go."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.experiment.faults import Fault
from orchestrator.experiment.second_look import SecondLook
from orchestrator.experiment.table import KernelArguments, Name, Table

__all__ = ["SlowDisk", "Swap", "Variant"]

Swap = Literal["pageshare", "zram", "zswap", "disk", "dom0-zram", "none"]
"""Where a domU's swapped pages go: to the store; to its own memory; there, with its
disk behind; to its disk; to a zram disk in dom0's memory; nowhere."""
Compressor = Literal["lz4", "lzo", "lzo-rle", "zstd"]
"""As the kernel calls it."""
OF_SWAPS: dict[str, tuple[Swap, ...]] = {
    "compressor": ("pageshare", "zram", "zswap", "dom0-zram"),
    "sharing": ("pageshare",),
    "second_look": ("pageshare",),
    "store_engine": ("pageshare",),
    "quota_mib": ("pageshare",),
    "limit_mib": ("dom0-zram",),
    "slow_disk": ("disk",),
    "fault": ("pageshare",),
    "lies_to": ("pageshare",),
}
"""With which kinds of swap a variant's key means something."""


class SlowDisk(Table):
    """A disk with given figures, on the guests' clock and in dom0's memory, which is not counted.

    It stands for a device: the experiment file says for which, and where its
    figures are from.
    """

    latency_us: int = Field(ge=1, le=1_000_000)
    """Of every request, read or write; microseconds."""
    mebibytes_per_second: int = Field(ge=1, le=100_000)
    """Reads and writes together."""


class Variant(Table):
    """One run of the experiment: what differs from the other runs."""

    name: Name
    title: str = ""
    """How the report and the table call it; the name where empty."""
    randomize_va_space: Literal[0, 1, 2]
    """The guests' ``kernel.randomize_va_space``: 2 is the kernel's default, 0 is off."""
    kernel_arguments: KernelArguments = ()
    """Further words for the command line of every domU's kernel."""
    swap: Swap = "pageshare"
    compressor: Compressor = "lz4"
    """Of whatever compresses swapped pages."""
    sharing: bool = True
    """Whether domUs share pages in the store; else each is in a group of its own."""
    second_look: SecondLook | None = None
    """What becomes of pages that were not used for a while; nothing where left out."""
    slow_disk: SlowDisk | None = None
    """Where ``swap`` is ``disk``: its figures, in place of as fast as the machine goes."""
    memory_mib: int | None = Field(default=None, ge=32, le=4096)
    """Of every domU, in place of what the domU says."""
    quota_mib: int | None = Field(default=None, ge=1, le=4096)
    """Of every domU, in place of what the domU says."""
    limit_mib: int | None = Field(default=None, ge=1, le=4096)
    """Where ``swap`` is ``dom0-zram``: the most memory that dom0 spends for one domU."""
    domains: int | None = Field(default=None, ge=1, le=16)
    """How many domUs there are: the first ones of the file; all where left out."""
    store_engine: Literal["native", "python"] = "native"
    """Who answers the domUs' requests: the native loop, or Python alone (the reference)."""
    kernel: Literal["pageshare", "debug"] = "pageshare"
    """Which variant of the kernel the domUs boot, where ``swap`` needs no other one;
    dom0 boots the first."""
    patches: int = Field(default=0, ge=0, le=999)
    """How many of the patches that ``testbed ab`` was given are in the domUs' kernel."""
    seed: int | None = Field(default=None, ge=0, le=1 << 31)
    """Of the guests' randomness on a counted clock, in place of the experiment's: it is
    drawn anew after the boot, and so is when each domU begins, so that repetitions can
    differ in it alone."""
    host_load: int = Field(default=0, ge=0, le=64)
    """Processes that keep the host busy meanwhile, to see what that does to the figures."""
    lies_to: Name | None = None
    """The domU that a store which lies is tried on (see ``testbed/hostile``)."""
    expect: Literal["OK", "WORKLOAD_FAILED"] = "OK"
    """How it must end for the run to be good."""
    fault: Annotated[tuple[Fault, ...], Field(strict=False, max_length=8)] = ()

    @model_validator(mode="after")
    def _keys_fit_the_swap(self) -> Variant:
        for name in self.model_fields_set & OF_SWAPS.keys():
            if self.swap not in OF_SWAPS[name]:
                kinds = " or ".join(map(repr, OF_SWAPS[name]))
                raise ValueError(f"{name}: only with swap = {kinds}, and this is {self.swap!r}")
        if self.swap == "pageshare" and self.compressor == "lzo-rle":
            raise ValueError("compressor: the store knows 'lz4', 'lzo' and 'zstd'")
        if self.swap == "zswap" and self.kernel != "pageshare":
            raise ValueError(f"kernel: swap = 'zswap' needs its own, so not {self.kernel!r}")
        return self

    @property
    def base_kernel(self) -> str:
        """The kernel variant without patches that domUs boot: zswap is in one of its own."""
        return "zswap" if self.swap == "zswap" else self.kernel

    @property
    def domu_kernel(self) -> str:
        """The kernel that domUs boot."""
        return f"{self.base_kernel}-p{self.patches}" if self.patches else self.base_kernel

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong on purpose, in the order of the file."""
        return self.fault

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name
