"""What the emulated machine consists of, as typed, immutable data.

The shape of ``testbed/machine/machine.toml``. Everything that can be checked
without starting anything is checked here, so that a bad value is a
:class:`~orchestrator.errors.UserError` before QEMU exists.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import UserError

__all__ = [
    "DEFAULT_KERNEL",
    "DEFAULT_MACHINE",
    "Dom0Description",
    "DomainDescription",
    "MachineDescription",
    "QemuDescription",
    "SecondLookDescription",
    "StoreDescription",
    "SwapDevice",
    "address_of",
]

DEFAULT_MACHINE = Path(__file__).resolve().parents[2] / "testbed/machine/machine.toml"
"""The machine that an experiment gets unless it names another one."""

DEFAULT_KERNEL = "pageshare"
"""The kernel variant that dom0 boots, and domUs unless they name another."""

_MIB = 1 << 20
_XEN_MIB = 96
"""What Xen itself takes of a machine of _XEN_MEASURED_MIB: heap, frame table, its own image
(measured: 60 to 80)."""
_XEN_MEASURED_MIB = 2048
_XEN_SHARE = 64
"""One byte in so many of a larger machine: Xen's frame table has 56 for each page."""
_DOMAIN_MIB = 8
"""What Xen takes for a domU beside its memory: page tables and grant tables."""
_LEAST_MIB = 2048
"""A machine whose memory is not given has this at least: room for the 512 MiB domU of a
run that does not swap."""
_STEP_MIB = 256
_BOARD_MIB = 65536

_TRANSPORTS = 32
"""virtio-mmio devices that QEMU's virt board has room for."""
_OWN_TRANSPORTS = 9
"""Of those, the machine's own: serial ports, network, balloon, entropy, and five disks."""

_TAKEN = frozenset({"dom0", "Domain-0", "store", "xen-dom0"})
"""Names that mean something else in commands or among the console files."""

# A name is a xenstore value, a file name and part of a 20-byte disk serial.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,11}$")]
# It stands between quotes in xl's configuration.
KernelArgument = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:/=+@%-]{0,199}$")]
Mebibytes = Annotated[int, Field(ge=16, le=65536)]


def address_of(index: int) -> str:
    """The IPv4 address of the domU with this index, counted from 0."""
    return f"10.0.2.{101 + index}"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QemuDescription(_Part):
    """The board that QEMU emulates."""

    cpu: str = "cortex-a57"
    cpus: int = Field(default=2, ge=1, le=8)
    memory_mib: Mebibytes | None = None
    """What it is given; where left out, what Xen, dom0 and the domUs need: see
    ``MachineDescription.memory_mib``."""
    translation_cache_mib: int = Field(default=512, ge=32, le=4096)
    """Room for translated code; too little makes TCG translate again and again."""
    timing: Literal["realtime", "icount"] = "realtime"
    """The guests' clock: the host's, or counted instructions of one CPU."""
    seed: int = Field(default=1, ge=0, le=1 << 31)
    """Of what QEMU draws for the guests, where ``timing`` is ``icount``."""


class Dom0Description(_Part):
    """dom0 as Xen builds it."""

    memory_mib: Mebibytes = 384
    vcpus: int = Field(default=1, ge=1, le=8)
    """One: disks and forks were twice as fast as with two on an emulated machine."""
    address: Literal["10.0.2.15"] = "10.0.2.15"
    """QEMU's user network forwards to this address; dom0's image sets it."""


class SecondLookDescription(_Part):
    """What the store does to cold pages, see ``testbed/store/secondlook/settings.py``."""

    pointers: bool = True
    near_twins: bool = True
    recompress: bool = True
    cold_seconds: float = Field(default=5.0, gt=0)
    cpu_share: float = Field(default=0.05, gt=0, le=1)
    pages_per_second: float = Field(default=500.0, gt=0)


class StoreDescription(_Part):
    """The sharing store, as its configuration file has it."""

    arena_bytes: int = Field(default=128 * _MIB, ge=4096)
    arena_path: str = "/run/pageshare/arena"
    mark_interval_ms: int = Field(default=500, ge=0)
    records: str = "/dev/virtio-ports/pageshare.stats"
    control_socket: str = "/run/pageshare/control"
    max_data_pages: int = Field(default=256, ge=1, le=1024)
    engine: Literal["native", "python"] = "native"
    second_look: SecondLookDescription | None = None


class SwapDevice(_Part):
    """What a domU's swap disk is made of."""

    kind: Literal["disk", "zram", "slow-disk", "none"] = "disk"
    """``disk``: a disk of QEMU's. In dom0's memory: ``zram``, compressed, and
    ``slow-disk``, with the figures below on the guests' clock (null_blk)."""
    compressor: str = Field(default="lz4", pattern=r"^[a-z0-9-]{1,16}$")
    """``zram``: by the kernel's name of it."""
    limit_mib: int = Field(default=0, ge=0, le=65536)
    """``zram``: the most memory that it takes; 0: no limit."""
    latency_us: int = Field(default=0, ge=0, le=1_000_000)
    """``slow-disk``: of each request, reads and writes alike; microseconds."""
    mebibytes_per_second: int = Field(default=0, ge=0, le=100_000)
    """``slow-disk``: reads and writes together; 0: no limit."""


class DomainDescription(_Part):
    """One domU."""

    name: Name
    address: str = Field(pattern=r"^10\.0\.2\.(1[0-9][0-9]|2[0-4][0-9])$")
    """IPv4 address in QEMU's user network, see :func:`address_of`."""
    memory_mib: Mebibytes = 64
    vcpus: int = Field(default=1, ge=1, le=8)
    quota_bytes: int = Field(default=64 * _MIB, ge=0)
    """Payload that the store keeps for it at most; 0: not a client of the store."""
    group: str = Field(default="all", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")
    """Domains share pages inside a group only."""
    randomize_va_space: Literal[0, 1, 2] = 2
    """Address randomisation: 2 as the kernel has it, 0 off."""
    swap_mib: Mebibytes = 512
    swap_device: SwapDevice = SwapDevice()
    scratch_mib: Mebibytes = 512
    kernel: str = Field(default=DEFAULT_KERNEL, pattern=r"^[a-z][a-z0-9-]{0,30}$")
    """The kernel variant that it boots."""
    kernel_arguments: tuple[KernelArgument, ...] = ()
    """Further words for its kernel's command line."""

    @property
    def kernel_file(self) -> str:
        """Its kernel on the payload disk."""
        return "kernel" if self.kernel == DEFAULT_KERNEL else f"kernel.{self.kernel}"

    @property
    def mac(self) -> str:
        """Ethernet address (Xen's OUI) that follows from the IPv4 address."""
        return f"00:16:3e:00:02:{int(self.address.rsplit('.', 1)[1]):02x}"


class MachineDescription(_Part):
    """The whole machine: board, dom0, store and domUs."""

    qemu: QemuDescription = QemuDescription()
    dom0: Dom0Description = Dom0Description()
    store: StoreDescription = StoreDescription()
    domains: tuple[DomainDescription, ...] = Field(default=(), alias="domain")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @classmethod
    def load(cls, path: Path = DEFAULT_MACHINE) -> Self:
        """Read a machine file.

        Raises:
            UserError: it cannot be read, or a key or value in it is wrong.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except OSError as error:
            raise UserError(f"{path}: cannot read the machine: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"{path}: not valid TOML: {error}") from error
        except ValidationError as error:
            raise UserError(f"{path}: {_first_problem(error)}") from error

    def with_domains(self, domains: Iterable[DomainDescription]) -> Self:
        """The same machine with other domUs, checked again.

        Raises:
            UserError: the domUs do not fit together or do not fit in.
        """
        return self._checked_copy(domains=tuple(domains))

    def with_timing(self, timing: Literal["realtime", "icount"], seed: int) -> Self:
        """The same machine on another clock; a counted one has one CPU only."""
        cpus = 1 if timing == "icount" else self.qemu.cpus
        changes = {"timing": timing, "seed": seed, "cpus": cpus}
        return self._checked_copy(qemu=self.qemu.model_copy(update=changes))

    def with_store(self, store: StoreDescription) -> Self:
        """The same machine with another store configuration, checked again."""
        return self._checked_copy(store=store)

    def domain(self, name: str) -> DomainDescription:
        """The description of the domU called ``name`` (KeyError if there is none)."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    @property
    def client_domains(self) -> tuple[DomainDescription, ...]:
        """The domUs that the store serves."""
        return tuple(domain for domain in self.domains if domain.quota_bytes)

    @property
    def memory_mib(self) -> int:
        """QEMU's memory: as given, or else as much as is needed, rounded up."""
        if self.qemu.memory_mib is not None:
            return self.qemu.memory_mib
        return max(_LEAST_MIB, -(-self._needed_mib // _STEP_MIB) * _STEP_MIB)

    @property
    def _needed_mib(self) -> int:
        """By Xen, dom0 and all domUs."""
        guests = self.dom0.memory_mib + sum(d.memory_mib + _DOMAIN_MIB for d in self.domains)
        # a machine that is given more than it needs has a larger frame table all the same
        total = max(guests + _XEN_MIB, self.qemu.memory_mib or 0)
        return guests + _XEN_MIB + max(total - _XEN_MEASURED_MIB, 0) // _XEN_SHARE

    @property
    def virtio_devices(self) -> int:
        """How many QEMU emulates: the machine's own, and the disks of the domUs."""
        disks = sum(1 + (domain.swap_device.kind == "disk") for domain in self.domains)
        return _OWN_TRANSPORTS + disks

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for what in ("name", "address"):
            values = [getattr(domain, what) for domain in self.domains]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"domain.{what}: {', '.join(sorted(twice))} is used twice")
        if taken := {domain.name for domain in self.domains} & _TAKEN:
            raise ValueError(f"domain.name: {taken.pop()} is taken")
        quotas = sum(domain.quota_bytes for domain in self.domains)
        if quotas > self.store.arena_bytes:
            raise ValueError(
                f"store.arena_bytes: {self.store.arena_bytes} is less than the sum of the "
                f"domains' quotas, {quotas}: an accepted page could not be kept"
            )
        # dom0 keeps the arena in a tmpfs, which may take half of its memory
        if quotas and self.store.arena_bytes > self.dom0.memory_mib * _MIB // 2:
            raise ValueError(
                f"store.arena_bytes: {self.store.arena_bytes >> 20} MiB are more than half of "
                f"dom0's {self.dom0.memory_mib} MiB, where the store keeps them: give "
                f"{len(self.client_domains)} domUs lower quotas, or dom0 more memory"
            )
        if self._needed_mib > self.memory_mib:
            raise ValueError(
                f"qemu.memory_mib: {self.memory_mib} is too little for Xen, dom0 and "
                f"{len(self.domains)} domUs, which need {self._needed_mib}"
            )
        if self.memory_mib > _BOARD_MIB:
            raise ValueError(
                f"qemu.memory_mib: the {self.memory_mib} that Xen, dom0 and {len(self.domains)} "
                f"domUs need are more than {_BOARD_MIB}"
            )
        if self.virtio_devices > _TRANSPORTS:
            raise ValueError(
                f"domain: {len(self.domains)} domUs and their disks need {self.virtio_devices} "
                f"virtio devices, and QEMU's virt board has {_TRANSPORTS}"
            )
        return self

    def _checked_copy(self, **changes: object) -> Self:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self)(**{**fields, **changes})
        except ValidationError as error:
            raise UserError(f"machine: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    """One line for the first of pydantic's complaints: key, what is wrong, value."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = re.sub(r"^Value error, ", "", problem["msg"])
    if problem["type"] == "value_error":
        return message
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    return f"{where} = {problem['input']!r}: {message}"
