"""What is asked of Buildroot: a tree, a defconfig of ours, and where compiler and sources
come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.artifacts.buildroot.show_info import TOOLCHAIN
from orchestrator.artifacts.buildroot.sources import debian_sources, source_versions
from orchestrator.artifacts.buildroot.toolchain import LIBC, debian_toolchain
from orchestrator.artifacts.buildroot.tree import BuildrootTree, content_digest
from orchestrator.artifacts.context import BuildContext, read_list
from orchestrator.artifacts.debian import missing_packages
from orchestrator.errors import UserError

__all__ = ["DEFCONFIG", "BuildrootSetup", "Toolchain", "external_tree", "prepare"]

Toolchain = Literal["bootlin", "debian"]
"""Buildroot's own choice, a download; or Debian's cross compiler, and Debian's sources."""

DEFCONFIG = "testbed_domu_defconfig"

# a link to the machine's fakeroot needs neither its libraries nor autotools
_DEBIAN_VARIABLES = ("HOST_FAKEROOT_DEPENDENCIES=", "HOST_FAKEROOT_AUTORECONF=NO")

_ORCHESTRATED = """\
# The testbed builds the kernel itself, and makes the file system, with the key that may log in.
# BR2_LINUX_KERNEL is not set
# BR2_TARGET_ROOTFS_EXT2 is not set
BR2_TARGET_ROOTFS_TAR=y
"""


@dataclass(frozen=True)
class BuildrootSetup:
    """All that a Buildroot output is configured by."""

    tree: BuildrootTree
    external: Path
    """Our BR2_EXTERNAL tree."""
    configuration: str
    """A defconfig: ours, with what the toolchain and the orchestrator change."""
    environment: Mapping[str, str]
    """Variables that the configuration names."""
    variables: Sequence[str]
    """Further words for every ``make``."""
    debian_versions: Mapping[str, str]
    """Of the packages whose source is Debian's."""
    inputs: Mapping[str, str | Path]
    """What all of this follows from, for the cache."""


def external_tree(context: BuildContext) -> Path:
    """Our BR2_EXTERNAL tree in the checkout."""
    return context.root / "buildroot-configs"


def prepare(
    context: BuildContext,
    tree: BuildrootTree,
    toolchain: Toolchain,
    *,
    defconfig: str = DEFCONFIG,
    kernel: bool = False,
) -> BuildrootSetup:
    """The setup for a defconfig; the Debian compiler and sources are made if they are wanted.

    Args:
        kernel: leave what the defconfig says of kernel and file system.

    Raises:
        UserError: there is no such defconfig, or Debian's compiler or sources cannot be had.
    """
    external = external_tree(context)
    file = external / "configs" / defconfig
    if not file.is_file():
        known = ", ".join(sorted(path.name for path in file.parent.glob("*_defconfig")))
        raise UserError(f"{file}: no such defconfig; there are: {known}")
    parts = [file.read_text()]
    inputs: dict[str, str | Path] = {
        "buildroot": content_digest(context.cache, tree),
        "buildroot version": tree.version,
        "toolchain": toolchain,
    }
    environment: dict[str, str] = {}
    variables: Sequence[str] = ()
    versions: Mapping[str, str] = {}
    if toolchain == "debian":
        _check_host_packages(external)
        compiler, sources = debian_toolchain(context), debian_sources(context, tree.path, external)
        parts.append((external / "debian" / "debian.fragment").read_text())
        environment = {
            "TESTBED_DEBIAN_TOOLCHAIN": str(compiler.folder / "toolchain"),
            "TESTBED_DEBIAN_SITE": str(sources.folder),
        }
        versions = source_versions(sources) | {TOOLCHAIN: dict(compiler.inputs)[LIBC]}
        variables = _DEBIAN_VARIABLES
        inputs |= {"compiler": compiler.key, "sources": sources.key}
    if not kernel:
        parts.append(_ORCHESTRATED)
    configuration = "".join(parts)
    inputs["configuration"] = configuration
    return BuildrootSetup(tree, external, configuration, environment, variables, versions, inputs)


def _check_host_packages(external: Path) -> None:
    """``UserError`` where a tool is missing that Buildroot takes from the machine."""
    missing = missing_packages(read_list(external / "debian" / "host-packages.txt"))
    if missing:
        raise UserError(
            "Buildroot's toolchain debian needs packages that are not installed: "
            f"apt-get install {' '.join(missing)}"
        )
