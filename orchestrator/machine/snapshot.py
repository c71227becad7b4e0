"""A whole machine that is kept once it is up, so that others can start from there.

::

    <folder>/
     ├── ram            the guests' memory, as large as the machine; sparse
     ├── state          QEMU's devices and CPUs
     ├── payload.ext4   the payload disk
     ├── disks/         what was written to the other disks until then
     └── kept.json      what is not in there: the disks, Xen's numbers of the domUs

Nothing in the folder is written again: memory is mapped privately, disks get
overlays. The folder may be moved; the artifacts below the disks may not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import InfrastructureError
from orchestrator.machine.disks import Disk

__all__ = ["KeptMachine", "Snapshot"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _KeptDisk(_Part):
    serial: str
    path: str
    """Relative to the snapshot where it lies inside."""
    format: Literal["raw", "qcow2"]
    readonly: bool


class KeptMachine(_Part):
    """``kept.json``."""

    disks: list[_KeptDisk]
    """In the order of QEMU's command line, which names the devices."""
    domids: dict[str, int]
    store: bool
    """Whether the store runs."""


class Snapshot:
    """The files of one."""

    MACHINE = "kept.json"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = folder / "ram"
        self.state = folder / "state"
        self.payload = folder / "payload.ext4"
        self.disks = folder / "disks"
        self._machine = folder / self.MACHINE

    def write(self, disks: list[Disk], domids: dict[str, int], *, store: bool) -> None:
        """Keep what is not in QEMU's own files."""
        kept = KeptMachine(
            disks=[
                _KeptDisk(
                    serial=disk.serial,
                    path=self._relative(disk.path),
                    format=disk.format,
                    readonly=disk.readonly,
                )
                for disk in disks
            ],
            domids=domids,
            store=store,
        )
        self._machine.write_text(kept.model_dump_json(indent=2) + "\n")

    def read(self) -> tuple[KeptMachine, list[Disk]]:
        """What was kept, and the disks where they lie now.

        Raises:
            InfrastructureError: it is not whole.
        """
        try:
            kept = KeptMachine.model_validate_json(self._machine.read_text())
        except (OSError, ValidationError) as error:
            raise InfrastructureError(f"{self.folder}: not a kept machine: {error}") from error
        disks = [
            Disk(one.serial, self.folder / one.path, one.format, one.readonly) for one in kept.disks
        ]
        if missing := [disk.path for disk in disks if not disk.path.exists()]:
            raise InfrastructureError(f"{self.folder}: {missing[0]} is gone")
        return kept, disks

    def _relative(self, path: Path) -> str:
        inside = path.is_relative_to(self.folder)
        return str(path.relative_to(self.folder) if inside else path.resolve())
