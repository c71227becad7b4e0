"""A domU root disk of Debian's BusyBox and dropbear."""

from __future__ import annotations

import tempfile
from pathlib import Path

from orchestrator.artifacts.assembly import assemble, authorize, recipe_inputs
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.ext4 import make_ext4
from orchestrator.artifacts.keys import client_key

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
                authorize(root, key.public)
                make_ext4(
                    folder / "domu.ext4",
                    root,
                    label="domu",
                    log=context.log,
                    deadline=context.deadline.within(120),
                )

        inputs = recipe_inputs(context, "domu", tree) | {"key": key.digest, "builder": self.name}
        return context.cache.get(
            "domu-image", inputs, build, main="domu.ext4", deadline=context.deadline
        )
