"""The toolchain disk: gcc and everything else that a kernel build runs, for arm64."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from orchestrator.artifacts.assembly import assemble, recipe_inputs
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.ext4 import make_ext4
from orchestrator.errors import InfrastructureError

__all__ = ["build_toolchain", "compiler_version_text"]

_COMPILER = "usr/bin/aarch64-linux-gnu-gcc-12"


def build_toolchain(context: BuildContext) -> Artifact:
    """The read-only ext4 disk (``Artifact.path``); used by ``chroot`` in every domU.

    ``compiler.txt`` beside it is what the guest's compiler answers to ``--version``.
    """
    tree = debian_tree(context, "toolchain")

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = Path(scratch)
            assemble(context, "toolchain", tree, root)
            text = compiler_version_text(root / _COMPILER)
            (folder / "compiler.txt").write_text(text + "\n")
            make_ext4(
                folder / "toolchain.ext4",
                root,
                label="toolchain",
                log=context.log,
                deadline=context.deadline.within(300),
            )

    inputs = recipe_inputs(context, "toolchain", tree)
    return context.cache.get(
        "toolchain", inputs, build, main="toolchain.ext4", deadline=context.deadline
    )


def compiler_version_text(driver: Path) -> str:
    """The first line of ``aarch64-linux-gnu-gcc --version``, without running it.

    gcc prints its own name, its package version and its version; the latter two are
    strings in the driver. Kbuild compares this line with the one it was configured with.
    """
    data = driver.read_bytes()
    package = re.search(rb"\((?:Debian|Ubuntu) [^)\x00]+\)", data)
    version = re.search(rb"\x00(1[0-9]\.[0-9]+\.[0-9]+)\x00", data)
    if package is None or version is None:
        raise InfrastructureError(f"{driver.name}: found no version text inside the compiler")
    return f"aarch64-linux-gnu-gcc {package[0].decode()} {version[1].decode()}"
