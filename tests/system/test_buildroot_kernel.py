"""One series and one set of fragments: Buildroot configures the kernel as the testbed does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.artifacts.buildroot import find_tree
from orchestrator.artifacts.buildroot.output import opened_output
from orchestrator.artifacts.buildroot.setup import prepare
from orchestrator.artifacts.buildroot.tree import FOLDER_VARIABLE
from orchestrator.artifacts.kernel_source import series
from orchestrator.artifacts.kernel_variant import parse_config
from orchestrator.parts import Parts

OF_THE_COMPILER = {"CONFIG_CC_VERSION_TEXT"}
"""Buildroot calls it by another name."""


@pytest.mark.skipif(
    not os.environ.get(FOLDER_VARIABLE), reason=f"no Buildroot tree: {FOLDER_VARIABLE} is not set"
)
def test_buildroot_configures_the_same_kernel(parts: Parts) -> None:
    context = parts.context
    tree = find_tree(context.cache)
    assert tree is not None
    setup = prepare(context, tree, "debian", kernel=True)
    with opened_output(context, setup, "kernel-configuration") as output:
        kernel = output.folder / "build" / "linux-custom"
        output.make("linux-dirclean")
        output.make(str(kernel / ".stamp_kconfig_fixup_done"))
        theirs = parse_config((kernel / ".config").read_text().splitlines())
        applied = (kernel / ".applied_patches_list").read_text().split()
        output.make("linux-dirclean")  # a gigabyte
    ours = parse_config((parts.artifacts.kernel.folder / "config").read_text().splitlines())
    for name in OF_THE_COMPILER:
        del ours[name], theirs[name]
    assert theirs == ours
    named = [Path(one).name for one in applied if Path(one).parent.name == context.patches.name]
    assert named == [patch.name for patch in series(context.patches)]
