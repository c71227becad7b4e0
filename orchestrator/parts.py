"""From artifacts to the files of one machine: the payload disk is made for each run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import Artifacts, BuildContext
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.guest_program import build_guest_program
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
        contents = self._payload(description)
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
            reseed=build_guest_program(self.context.cache, "reseed", "testbed/reseed"),
            kernels=self._kernel_images(),
        )

    def payload_digests(self, description: MachineDescription) -> dict[str, str]:
        """SHA-256 (hex) of each file of the payload disk, by its path."""
        return {
            name: self.context.cache.digest_of(content)
            if isinstance(content, Path)
            else hashlib.sha256(content).hexdigest()
            for name, content in self._payload(description).items()
        }

    def _payload(self, description: MachineDescription) -> dict[str, bytes | Path]:
        built = self.artifacts
        kernel, kernels = built.kernel.path, self._kernel_images()
        return payload_files(description, kernel, built.ring.path, kernels)

    def _kernel_images(self) -> dict[str, Path]:
        return {name: kernel.path for name, kernel in self.kernels.items()}
