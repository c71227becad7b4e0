"""Build everything, after a look at whether this machine can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator import preflight
from orchestrator.artifacts import BuildContext, Cache, build_all
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.domu_image import ImageChoice, choose_builder
from orchestrator.artifacts.kernel import build_kernel
from orchestrator.artifacts.sbom import write_sbom
from orchestrator.errors import UserError
from orchestrator.experiment import DomuImage, Variant
from orchestrator.machine import DEFAULT_KERNEL, MachineDescription
from orchestrator.parts import Parts
from orchestrator.progress import Progress

__all__ = ["build_parts", "with_patches", "write_sboms"]


def build_parts(
    progress: Progress,
    kernels: Iterable[str] = (),
    machines: Iterable[MachineDescription] = (),
    image: DomuImage | None = None,
) -> Parts:
    """Build what is not in the cache; the kernel beside the images.

    Args:
        kernels: further variants of the kernel, for domUs.
        machines: that are to run, one at a time; for their memory.
        image: what makes the domUs' images; by what this machine has, where left out.

    Raises:
        UserError: a program, memory or disk is missing, or the series is wrong.
        InfrastructureError: a build failed.
    """
    cache = Cache.of_user(log=progress.log)
    largest = max(one.memory_mib for one in (MachineDescription.load(), *machines))
    with progress.phase("check this machine"):
        preflight.check(
            machine_memory=largest << 20, folders=[(cache.root, preflight.BUILD_DISK_BYTES)]
        )
    context = BuildContext(cache, log=progress.log)

    def tell(line: str) -> None:
        progress.console.print(line, soft_wrap=True, highlight=False, markup=False)

    wanted = image or DomuImage()
    choice = ImageChoice(wanted.builder, wanted.toolchain)
    builder = choose_builder(context, choice, tell=tell, on_line=progress.log)
    with progress.phase("kernel, Xen, images, toolchain, workload"):
        artifacts = build_all(context, domu=builder, on_line=progress.log)
    others: dict[str, Artifact] = {}
    for name in sorted(set(kernels) - {DEFAULT_KERNEL}):
        with progress.phase(f"kernel variant {name}"):
            others[name] = build_kernel(context, name, on_line=progress.log)
    return Parts(context, artifacts, others)


def write_sboms(parts: Parts, image: DomuImage, folder: Path, progress: Progress) -> list[Path]:
    """Write what is in the images that ``build_parts`` built for ``image``.

    Raises:
        InfrastructureError: Buildroot could not tell.
    """
    choice = ImageChoice(image.builder, image.toolchain)
    builder = choose_builder(parts.context, choice, tell=progress.log)
    with progress.phase("what is in the images"):
        return write_sbom(parts.context, parts.artifacts, builder, folder)


def with_patches(
    parts: Parts, variants: Iterable[Variant], patches: Sequence[Path], progress: Progress
) -> Parts:
    """The same parts, and the kernels with as many of the patches as each variant wants.

    Raises:
        UserError: a variant wants more than there are, or one does not apply or compile.
    """
    kernels = dict(parts.kernels)
    for variant in variants:
        if variant.patches > len(patches):
            raise UserError(
                f"variant {variant.name}: patches = {variant.patches}, but there are "
                f"{len(patches)}: testbed ab is what gives them"
            )
        if variant.patches and variant.domu_kernel not in kernels:
            with progress.phase(f"kernel {variant.domu_kernel}"):
                kernels[variant.domu_kernel] = build_kernel(
                    parts.context,
                    variant.base_kernel,
                    patches=patches[: variant.patches],
                    on_line=progress.log,
                )
    return replace(parts, kernels=kernels)
