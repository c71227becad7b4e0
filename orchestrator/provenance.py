"""What a run is made of: the project's state, versions, the host, the patch series."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from orchestrator.artifacts import Artifacts
from orchestrator.artifacts.context import checkout
from orchestrator.experiment import Experiment
from orchestrator.parts import Parts
from orchestrator.results import (
    ArtifactEntry,
    ExperimentEntry,
    HostEntry,
    Manifest,
    PatchEntry,
    Project,
    new_run_id,
)

__all__ = ["manifest_of"]


def manifest_of(experiment: Experiment, file: Path, parts: Parts, *, name: str = "") -> Manifest:
    """The manifest as far as it is known before QEMU starts.

    Args:
        name: ends the run's id; the experiment's name by default.
    """
    root = checkout()
    return Manifest(
        run_id=new_run_id(name or experiment.name),
        command=sys.argv,
        project=_project(root),
        experiment=ExperimentEntry(
            file=os.path.relpath(file, root),
            digest=_digest(file),
            content=experiment.model_dump(mode="json"),
            files={name: _digest(root / name) for name in experiment.named_files},
        ),
        versions=_versions(parts.artifacts),
        artifacts={
            name: ArtifactEntry(
                key=artifact.key, digest=artifact.digest, inputs=dict(artifact.inputs)
            )
            for name, artifact in parts.all.items()
        },
        patches=[
            PatchEntry(name=patch.name, digest=_digest(patch))
            for patch in sorted((root / "guest-kernel-patches/linux-6.1").glob("*.patch"))
        ],
        qemu_command=[],
        host=_host(),
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # a release without its history is fine
    return done.stdout.strip()


def _project(root: Path) -> Project:
    status = _git(root, "status", "--porcelain")
    return Project(
        version=metadata.version("pageshare-testbed"),
        commit=_git(root, "rev-parse", "HEAD"),
        modified=None if status is None else bool(status),
    )


def _versions(artifacts: Artifacts) -> dict[str, str]:
    qemu = subprocess.run(
        ["qemu-system-aarch64", "--version"], capture_output=True, text=True, check=True
    )
    return {
        "qemu": qemu.stdout.splitlines()[0],
        "python": platform.python_version(),
        **artifacts.inputs,
    }


def _host() -> HostEntry:
    return HostEntry(
        cpus=os.cpu_count(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        model=_cpu_model(),
    )


def _cpu_model() -> str | None:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return None
