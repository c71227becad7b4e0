"""How to reach a machine that is up, by hand: ``machine.json`` in its run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ENDPOINTS_FILE", "Endpoints"]

ENDPOINTS_FILE = "machine.json"
"""In the run's folder while the machine is up."""


class Endpoints(BaseModel):
    """What commands that attach to the machine are told."""

    model_config = ConfigDict(frozen=True)

    qemu_pid: int
    ssh: dict[str, list[str]]
    """The ssh command to each domain, by its name."""
    gdb: Path | None = None
    """Unix socket of QEMU's gdb stub; None where an older testbed started the machine."""
    images: dict[str, Path] = Field(default_factory=dict)
    """What is booted: of ``xen``, ``dom0`` and each domU, in the artifact cache."""
    domids: dict[str, int] = Field(default_factory=dict)
    """Xen's numbers of the domains that were created so far."""

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Those of the machine, or None where it has ended without a word."""
        known = cls.model_validate_json(path.read_text())
        return known if Path(f"/proc/{known.qemu_pid}").exists() else None

    def write(self, path: Path) -> None:
        """Put them into the file, all at once: others may be reading."""
        fresh = path.with_suffix(".new")
        fresh.write_text(self.model_dump_json(indent=2) + "\n")
        fresh.rename(path)
