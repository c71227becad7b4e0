"""From artifacts to the files of one machine: the payload disk is made for each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import Artifacts, BuildContext
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.payload import make_payload
from orchestrator.machine import MachineDescription, MachineFiles, payload_files

__all__ = ["Parts"]


@dataclass(frozen=True)
class Parts:
    """What every machine of this checkout is made of."""

    context: BuildContext
    artifacts: Artifacts
    kernels: Mapping[str, Artifact] = field(default_factory=dict)
    """Those of other variants than dom0's, by the variant's name."""

    @property
    def all(self) -> dict[str, Artifact]:
        """Every cached artifact by its name in the manifest."""
        others = {f"kernel_{name}": kernel for name, kernel in self.kernels.items()}
        return self.artifacts.all | others

    def files(self, description: MachineDescription, folder: Path) -> MachineFiles:
        """The files of one machine; its payload disk is written to ``folder``."""
        built = self.artifacts
        payload = folder / "payload.ext4"
        kernels = {name: kernel.path for name, kernel in self.kernels.items()}
        contents = payload_files(description, built.kernel.path, built.ring.path, kernels)
        make_payload(payload, built.kernel.path, contents, log=self.context.log)
        return MachineFiles(
            xen=built.xen.path,
            kernel=built.kernel.path,
            dom0_image=built.dom0_image.path,
            domu_image=built.domu_image.path,
            toolchain=built.toolchain.path,
            workload=built.workload.path,
            payload=payload,
            ssh_key=built.keys.path,
        )
