"""Build everything that a machine is made of, at once where nothing depends on another."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.dom0_image import build_dom0_image
from orchestrator.artifacts.domu_image import DebianDomuImage, DomuImageBuilder
from orchestrator.artifacts.kernel import build_kernel, load_variant
from orchestrator.artifacts.kernel_source import patched_tree, source_tarball
from orchestrator.artifacts.keys import KeyPair, client_key
from orchestrator.artifacts.packages import debian_packages, packages_of
from orchestrator.artifacts.payload import build_ring_library
from orchestrator.artifacts.toolchain import build_toolchain
from orchestrator.artifacts.workload import build_workload, check_objects, object_list
from orchestrator.artifacts.xen import build_xen
from orchestrator.commands import Log, stop_all

__all__ = ["Artifacts", "build_all"]


@dataclass(frozen=True)
class Artifacts:
    """Everything that a machine is made of; each artifact's ``path`` is its main file."""

    kernel: Artifact
    xen: Artifact
    dom0_image: Artifact
    domu_image: Artifact
    toolchain: Artifact
    workload: Artifact
    ring: Artifact
    keys: KeyPair
    inputs: dict[str, str]
    """Versions of what went in, for the manifest: package -> version."""

    @property
    def all(self) -> dict[str, Artifact]:
        """The cached artifacts by name."""
        return {
            "kernel": self.kernel,
            "xen": self.xen,
            "dom0_image": self.dom0_image,
            "domu_image": self.domu_image,
            "toolchain": self.toolchain,
            "workload": self.workload,
            "ring": self.ring,
        }

    def describe(self) -> dict[str, dict[str, str]]:
        """Key and digest of every artifact, as the manifest holds them."""
        return {
            name: {"kind": made.kind, "key": made.key, "sha256": made.digest}
            for name, made in self.all.items()
        }


def build_all(
    context: BuildContext,
    *,
    variant: str = "pageshare",
    domu: DomuImageBuilder | None = None,
    on_line: Log | None = None,
) -> Artifacts:
    """Build what is missing and return it all; with everything cached, under 2 seconds.

    The kernel, which takes longest, is built beside the images. ``on_line`` sees
    the kernel build's lines. The first error that any builder raises is raised.
    """
    builder: DomuImageBuilder = domu or DebianDomuImage()
    keys = client_key(context)

    def disks() -> tuple[Artifact, ...]:
        return (
            build_xen(context),
            builder.build(context),
            build_dom0_image(context),
            build_toolchain(context),
            build_workload(context),
            build_ring_library(context),
        )

    # first what a mistake in the checkout shows up in, before anything is built
    load_variant(context.patches, variant)
    patched_tree(context)
    with ThreadPoolExecutor(2, thread_name_prefix="artifacts") as pool:
        made = pool.submit(disks)
        kernel = pool.submit(build_kernel, context, variant, on_line=on_line)
        try:
            both: tuple[Future[Any], Future[Any]] = (made, kernel)
            for done in as_completed(both):
                done.result()
        except BaseException:
            stop_all()  # or the other builder would be waited for
            raise
        xen, domu_image, dom0_image, toolchain, workload, ring = made.result()
        check_objects(workload, object_list(context), "testbed/images/workload/objects.txt")
        return Artifacts(
            kernel=kernel.result(),
            xen=xen,
            dom0_image=dom0_image,
            domu_image=domu_image,
            toolchain=toolchain,
            workload=workload,
            ring=ring,
            keys=keys,
            inputs=_versions(context, domu_image),
        )


def _versions(context: BuildContext, domu_image: Artifact) -> dict[str, str]:
    """The packages that decide the results, by name."""
    found = {"linux-source-6.1": source_tarball()[1]}
    wanted = {
        "xen": ("xen-hypervisor-4.17-arm64",),
        "dom0": ("xen-utils-4.17", "python3.11", "python3-lz4", "python3-xxhash"),
        "toolchain": ("gcc-12", "binutils", "make", "libc6"),
    }
    for tree, names in wanted.items():
        versions = {one.name: one.version for one in debian_packages(debian_tree(context, tree))}
        found |= {f"{tree}/{name}": versions[name] for name in names if name in versions}
    if "buildroot version" in domu_image.inputs:
        found["domu/buildroot"] = domu_image.inputs["buildroot version"]
    inside = ("busybox", "busybox-static", "dropbear", "dropbear-bin")
    packages = packages_of(domu_image)
    return found | {f"domu/{one.name}": one.version for one in packages if one.name in inside}
