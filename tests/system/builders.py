"""The builders of domU images that this machine can try, each the same way."""

from __future__ import annotations

import os

import pytest

from orchestrator.artifacts import BuildContext
from orchestrator.artifacts.buildroot import find_tree
from orchestrator.artifacts.buildroot.tree import FOLDER_VARIABLE
from orchestrator.artifacts.domu_image import (
    BuildrootDomuImage,
    DebianDomuImage,
    DomuImageBuilder,
)

__all__ = ["BUILDERS", "builder_named"]

BUILDERS = ("debian", "buildroot")


def builder_named(name: str, context: BuildContext) -> DomuImageBuilder:
    """Skips the test where there is no Buildroot tree."""
    if name == "debian":
        return DebianDomuImage()
    if not os.environ.get(FOLDER_VARIABLE):
        pytest.skip(f"no Buildroot tree: {FOLDER_VARIABLE} is not set")
    tree = find_tree(context.cache)
    assert tree is not None
    # whoever can run these tests has Debian's mirrors
    return BuildrootDomuImage(tree, "debian")
