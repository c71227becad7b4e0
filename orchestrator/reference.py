"""What a domU makes that does not swap: the right objects, or a script's right output.

It has ample memory and no place in the store. Built once for a workload and
toolchain, and kept in the cache as an artifact like any other.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from orchestrator.artifacts.digests import text_digest
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, TestbedError
from orchestrator.experiment import Experiment
from orchestrator.machine import DomainDescription, Machine, MachineDescription, address_of
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.results import RunFolder
from orchestrator.workloads import CHECKPOINT_SECONDS, KernelCompile, Script, ToolchainJob
from orchestrator.workloads.kernel_compile import make_arguments

__all__ = ["reference_digests"]

NAME = "reference"


def reference_digests(
    parts: Parts, experiment: Experiment, folder: RunFolder, progress: Progress
) -> dict[str, str] | None:
    """SHA-256 of each thing that the experiment makes, by its name.

    None where the run without swap failed: the variants then say so.
    """
    built = parts.artifacts
    inputs: dict[str, str | Path] = {
        "workload": built.workload.key,
        "toolchain": built.toolchain.key,
    }
    if experiment.workload.kind == "script":
        inputs["script"] = text_digest(experiment.script)
    else:
        inputs["targets"] = text_digest("\n".join(experiment.all_objects))

    def build(destination: Path) -> None:
        digests = _make_without_swap(parts, experiment, folder, progress)
        (destination / "digests.json").write_text(json.dumps(digests, indent=2) + "\n")

    try:
        with progress.phase("reference: the same without swapping"):
            artifact = parts.context.cache.get(NAME, inputs, build, main="digests.json")
    except TestbedError as error:
        folder.event("reference-failed", {"reason": str(error)})
        return None
    digests: dict[str, str] = json.loads(artifact.path.read_text())
    return digests


def _make_without_swap(
    parts: Parts, experiment: Experiment, folder: RunFolder, progress: Progress
) -> dict[str, str]:
    limits, resumes = experiment.limits, experiment.workload.resume
    description = MachineDescription.load().with_domains(
        [
            DomainDescription(
                name=NAME,
                address=address_of(0),
                memory_mib=experiment.workload.reference_memory_mib,
                vcpus=2,
                quota_bytes=0,
            )
        ]
    )
    with tempfile.TemporaryDirectory(prefix="testbed-payload-") as payload:
        files = parts.files(description, Path(payload))
        boot = Machine.boot(
            description,
            files,
            folder.path,
            Deadline.after(limits.boot_seconds),
            consoles=folder.console_of(NAME),
            state=folder.state_of(NAME) if resumes else None,
            start_store=False,
            log=progress.log,
        )
        with boot as machine:
            folder.note_machine(NAME, machine.qemu_argv)
            domain = machine.domains[NAME]
            workload = _job(experiment)
            deadline = Deadline.after(limits.variant_seconds)
            result = workload.run(machine, [domain], deadline)[NAME]
            written = domain.ssh.run("grep ^pswpout /proc/vmstat", deadline=deadline).stdout
            if written.split() != ["pswpout", "0"]:
                raise InfrastructureError(
                    f"the run that must not swap did ({written.strip()}): "
                    "raise workload.reference_memory_mib"
                )
    folder.drop_state(NAME)
    return dict(result.digests)


def _job(experiment: Experiment) -> ToolchainJob:
    if experiment.workload.kind == "script":
        return Script(experiment.script)
    return KernelCompile(
        targets=experiment.all_objects,
        arguments=[*make_arguments(), "-j2"],
        checkpoint_seconds=CHECKPOINT_SECONDS if experiment.workload.resume else 0,
    )
