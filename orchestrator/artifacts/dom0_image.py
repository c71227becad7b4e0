"""dom0's root disk: Debian's Xen tools, Python and an SSH server on arm64."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from orchestrator.artifacts.assembly import assemble, authorize, compile_python, recipe_inputs
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.ext4 import make_ext4
from orchestrator.artifacts.keys import client_key

__all__ = ["build_dom0_image"]

_FREE_BYTES = 256 << 20
"""Room for logs; the file is sparse, and a run writes to an overlay of it."""


def build_dom0_image(context: BuildContext) -> Artifact:
    """The ext4 image (``Artifact.path``); booted as ``/dev/vda`` through an overlay."""
    tree = debian_tree(context, "dom0")
    key = client_key(context)

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = Path(scratch)
            assemble(context, "dom0", tree, root)
            authorize(root, key.public)
            if sys.version_info[:2] == (3, 11):
                compile_python(root)
            make_ext4(
                folder / "dom0.ext4",
                root,
                label="dom0",
                free=_FREE_BYTES,
                log=context.log,
                deadline=context.deadline.within(300),
            )

    inputs = recipe_inputs(context, "dom0", tree) | {"key": key.digest}
    return context.cache.get(
        "dom0-image", inputs, build, main="dom0.ext4", deadline=context.deadline
    )
