"""A domU root disk of Debian's BusyBox and dropbear."""

from __future__ import annotations

import tempfile
from pathlib import Path

from orchestrator.artifacts.assembly import assemble, recipe_inputs
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.domu_image.finish import IMAGE, finish_image, finish_inputs
from orchestrator.artifacts.keys import client_key
from orchestrator.artifacts.packages import debian_packages

__all__ = ["DebianDomuImage"]


class DebianDomuImage:
    """The builder that needs nothing but Debian's packages (see ``interface``)."""

    name = "debian"

    def build(self, context: BuildContext) -> Artifact:
        """The ext4 image, under 20 MB (``Artifact.path`` is the file)."""
        tree = debian_tree(context, "domu")
        key = client_key(context)

        def build(folder: Path) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                root = Path(scratch)
                assemble(context, "domu", tree, root)
                finish_image(context, root, key, debian_packages(tree), folder)

        inputs = recipe_inputs(context, "domu", tree) | finish_inputs(key, self.name)
        return context.cache.get("domu-image", inputs, build, main=IMAGE, deadline=context.deadline)
