"""What a run was made of: ``manifest.json``, and the lines of ``events.jsonl``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ArtifactEntry",
    "Event",
    "ExperimentEntry",
    "HostEntry",
    "Manifest",
    "PatchEntry",
    "Project",
    "now",
]

SCHEMA_VERSION: Final = 1


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Entry(BaseModel):
    """A part of a result file: closed to keys that its schema does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Project(Entry):
    """Which state of this project ran."""

    version: str | None = None
    commit: str | None = None
    modified: bool | None = None
    """Whether the checkout differed from the commit."""


class ExperimentEntry(Entry):
    """The experiment as it was read."""

    file: str
    digest: str
    """SHA-256 of the file."""
    content: dict[str, Any]
    """``Experiment.model_dump(mode="json")``."""
    files: dict[str, str] = {}
    """SHA-256 of the files that it names, by their paths in the checkout."""


class ArtifactEntry(Entry):
    """One artifact and all that it was made from."""

    key: str
    """SHA-256 of the inputs: its place in the cache."""
    digest: str | None = None
    """SHA-256 of what was built."""
    inputs: dict[str, str] = {}


class PatchEntry(Entry):
    """One patch of the series, in order."""

    name: str
    digest: str


class HostEntry(Entry):
    """The machine that ran the emulator."""

    cpus: int | None = None
    memory_bytes: int | None = None
    system: str | None = None
    model: str | None = None


class Manifest(Entry):
    """Everything that a stranger needs to repeat the run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    run_id: str
    created_at: str = Field(default_factory=now)
    command: list[str] | None = None
    """The command line of the testbed itself."""
    project: Project
    experiment: ExperimentEntry
    versions: dict[str, str]
    """QEMU, Xen, Linux, Python, …"""
    artifacts: dict[str, ArtifactEntry]
    patches: list[PatchEntry]
    qemu_command: list[str] = []
    """The exact argv, where one machine ran everything."""
    qemu_commands: dict[str, list[str]] = {}
    """The argv of each machine, by what it was for (a variant, the run that does not swap)."""
    host: HostEntry = HostEntry()
    benchmark: dict[str, float | None] = {}
    """Figures of ``make bench``, by name with unit (``boot_seconds``); null where not measured."""

    @property
    def every_qemu_command(self) -> dict[str, list[str]]:
        """All machines' argv, by what they were for."""
        one = {"machine": self.qemu_command} if self.qemu_command else {}
        return {**one, **self.qemu_commands}


class Event(Entry):
    """One line of ``events.jsonl``."""

    at: str
    """UTC, ISO 8601."""
    host_seconds: float
    """The host's monotonic clock, as in ``samples.jsonl``."""
    event: str
    detail: dict[str, Any] = {}
