"""The machine's disks: cached images that are only read, and overlays to write to.

dom0 finds every disk by its serial (``/dev/disk/testbed/<serial>``), never by
its letter. Whatever is written during a run goes to a qcow2 overlay: images
in the cache stay as they are, and a later whole-system snapshot can use them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.commands import Log, run, silent
from orchestrator.machine.description import DomainDescription, MachineDescription

__all__ = ["Disk", "MachineFiles", "make_disks", "overlay_disks"]

_SERIAL_BYTES = 20
"""VIRTIO_BLK_ID_BYTES: a longer serial is cut off."""


@dataclass(frozen=True)
class MachineFiles:
    """Where the artifacts that the machine is made of lie on the host."""

    xen: Path
    kernel: Path
    """arm64 Image that dom0 boots; the domUs boot ``/kernel`` of the payload disk."""
    dom0_image: Path
    domu_image: Path
    toolchain: Path
    workload: Path
    payload: Path
    ssh_key: Path
    """Private key (OpenSSH format) whose public part is in both images."""
    reseed: Path | None = None
    """arm64 program of ``testbed/reseed``; needed only where a machine goes on."""
    kernels: Mapping[str, Path] = field(default_factory=dict)
    """Images that domUs boot instead, by the kernel variant's name."""


@dataclass(frozen=True)
class Disk:
    """One virtio disk of the emulated machine."""

    serial: str
    path: Path
    format: Literal["raw", "qcow2"]
    readonly: bool

    def __post_init__(self) -> None:
        if len(self.serial) > _SERIAL_BYTES:
            raise ValueError(f"disk serial {self.serial!r} is longer than {_SERIAL_BYTES} bytes")


def make_disks(
    description: MachineDescription,
    files: MachineFiles,
    folder: Path,
    state: Path | None = None,
    log: Log = silent,
) -> list[Disk]:
    """Every disk of the machine; what is written to is created in ``folder``.

    Args:
        state: where the domUs' scratch disks live on between runs; by default
            they are new each time.
    """
    disks = [
        Disk("payload", files.payload, "raw", readonly=True),
        Disk("domu-root", files.domu_image, "raw", readonly=True),
        Disk("toolchain", files.toolchain, "raw", readonly=True),
        Disk("workload", files.workload, "raw", readonly=True),
    ]
    for domain in description.domains:
        disks.append(_scratch_disk(domain, folder, state, log))
        if domain.swap_device.kind == "disk":
            disks.append(_swap_disk(domain, folder, log))
    root = _overlay(folder / "dom0.qcow2", files.dom0_image, log)
    disks.append(Disk("dom0-root", root, "qcow2", readonly=False))
    return disks


def _scratch_disk(domain: DomainDescription, folder: Path, state: Path | None, log: Log) -> Disk:
    where = state or folder
    image = where / f"scratch.{domain.name}.img"
    if not image.exists():
        where.mkdir(parents=True, exist_ok=True)
        fresh = image.with_suffix(".new")
        _sparse(fresh, domain.scratch_mib)
        # lazy initialisation off: a mount would start to write zeros in the background
        run(
            ["mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", "scratch", "-E",
             "lazy_itable_init=0,lazy_journal_init=0", str(fresh)],
            log=log,
        )  # fmt: skip
        fresh.rename(image)
    if state is not None:
        return Disk(f"scratch.{domain.name}", image, "raw", readonly=False)
    overlay = _overlay(folder / f"scratch.{domain.name}.qcow2", image, log)
    return Disk(f"scratch.{domain.name}", overlay, "qcow2", readonly=False)


def _swap_disk(domain: DomainDescription, folder: Path, log: Log) -> Disk:
    image = folder / f"swap.{domain.name}.img"
    _sparse(image, domain.swap_mib)
    image.chmod(0o600)
    run(["mkswap", "--label", "swap", str(image)], log=log)
    overlay = _overlay(folder / f"swap.{domain.name}.qcow2", image, log)
    return Disk(f"swap.{domain.name}", overlay, "qcow2", readonly=False)


def _sparse(path: Path, size_mib: int) -> None:
    with path.open("wb") as file:
        file.truncate(size_mib << 20)


def _overlay(path: Path, base: Path, log: Log, base_format: str = "raw") -> Path:
    # a base beside it is named by its name alone: the folder may move
    backing = base.name if base.parent == path.parent else str(base.resolve())
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format, "-b", backing, str(path)],
        log=log,
    )
    return path


def overlay_disks(disks: Sequence[Disk], folder: Path, log: Log = silent) -> list[Disk]:
    """The same disks, but what is written to them goes to new overlays in ``folder``."""
    return [
        disk
        if disk.readonly
        else Disk(
            disk.serial,
            _overlay(folder / f"{disk.serial}.qcow2", disk.path, log, disk.format),
            "qcow2",
            readonly=False,
        )
        for disk in disks
    ]
