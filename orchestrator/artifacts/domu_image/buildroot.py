"""A domU root disk of Buildroot's making (``buildroot-configs/``)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.buildroot import BuildrootTree, Toolchain, build_rootfs
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.domu_image.finish import IMAGE, finish_image, finish_inputs
from orchestrator.artifacts.keys import client_key
from orchestrator.artifacts.packages import packages_of
from orchestrator.commands import Log, run

__all__ = ["BuildrootDomuImage"]


@dataclass(frozen=True)
class BuildrootDomuImage:
    """The builder for machines that have a Buildroot tree (see ``interface``)."""

    tree: BuildrootTree
    toolchain: Toolchain = "bootlin"
    on_line: Log | None = None
    """Sees Buildroot's lines."""

    @property
    def name(self) -> str:
        """The builder's name as the manifest has it."""
        return "buildroot"

    def build(self, context: BuildContext) -> Artifact:
        """The ext4 image, under 20 MB (``Artifact.path`` is the file)."""
        rootfs = build_rootfs(context, self.tree, self.toolchain, on_line=self.on_line)
        key = client_key(context)

        def build(folder: Path) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                root = Path(scratch)
                argv: list[str | Path] = ["tar", "-x", "-f", rootfs.path, "-C", root]
                argv += ["--no-same-owner", "--same-permissions", "--exclude=./dev/*"]
                run(argv, log=context.log, deadline=context.deadline.within(120))
                finish_image(context, root, key, packages_of(rootfs), folder)

        inputs = finish_inputs(key, self.name) | {
            "rootfs": rootfs.digest,
            "buildroot version": self.tree.version,
            "toolchain": self.toolchain,
        }
        return context.cache.get("domu-image", inputs, build, main=IMAGE, deadline=context.deadline)
