"""Machines that are up and kept in the cache: a run with the same inputs starts from there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.debian import installed_version
from orchestrator.artifacts.digests import text_digest
from orchestrator.commands import Log
from orchestrator.deadline import Deadline
from orchestrator.machine import Machine, MachineDescription, MachineFiles
from orchestrator.machine.snapshot import Snapshot
from orchestrator.parts import Parts

__all__ = ["kept_machine", "resumed"]

KIND = "machine"
KEPT = 8
"""Machines in the cache; one takes a few hundred MB. Those that were not used for longest go."""
_SAVE_SECONDS = 120.0
_BOOT = "boot"
"""Folder of the boot's consoles, in the snapshot and then among a run's consoles."""


def kept_machine(
    parts: Parts,
    description: MachineDescription,
    files: MachineFiles,
    *,
    start_store: bool,
    boot_seconds: float,
    log: Log,
) -> Artifact:
    """The machine after its boot, from the cache where it is there.

    Its key has all that went into it; with other inputs it is another machine.

    Raises:
        InfrastructureError, GuestPanic, GuestHung: it did not boot, or cannot be kept.
    """
    inputs: dict[str, str | Path] = {
        "description": description.model_dump_json(),
        "payload": text_digest(repr(sorted(parts.payload_digests(description).items()))),
        "qemu": installed_version("qemu-system-arm"),
        "store": str(start_store),
        "recipe": "1",
    }
    # domUs' own kernels are on the payload disk
    inputs |= {f"artifact {name}": artifact.key for name, artifact in parts.artifacts.all.items()}

    def build(folder: Path) -> None:
        boot = Machine.boot(
            description,
            files,
            folder,
            Deadline.after(boot_seconds),
            consoles=folder / _BOOT,
            start_store=start_store,
            keep_in=folder,
            log=log,
        )
        with boot as machine:
            machine.keep(Deadline.after(_SAVE_SECONDS))

    cache = parts.context.cache
    kept = cache.get(KIND, inputs, build, main=Snapshot.MACHINE)
    (kept.folder / "used").touch()
    _prune(cache.root / KIND, spare=kept.folder)
    return kept


@contextmanager
def resumed(
    kept: Artifact,
    description: MachineDescription,
    files: MachineFiles,
    run_dir: Path,
    deadline: Deadline,
    *,
    consoles: Path,
    seeds: Mapping[str, bytes] | None,
    log: Log,
) -> Iterator[Machine]:
    """Go on from a kept machine; its boot's consoles are put beside this one's.

    Args:
        seeds: as ``Machine.reseed`` has it; None: fresh randomness for everyone.
    """
    shutil.copytree(kept.folder / _BOOT, consoles / _BOOT, dirs_exist_ok=True)
    resume = Machine.resume(
        description,
        files,
        run_dir,
        deadline,
        snapshot=kept.folder,
        consoles=consoles,
        log=log,
    )
    with resume as machine:
        machine.reseed(seeds, deadline)
        yield machine


def _prune(folder: Path, spare: Path) -> None:
    def used(one: Path) -> float:
        mark = one / "used"
        return mark.stat().st_mtime if mark.exists() else 0.0

    others = sorted((one for one in folder.iterdir() if one != spare), key=used, reverse=True)
    for one in others[KEPT - 1 :]:
        shutil.rmtree(one, ignore_errors=True)
