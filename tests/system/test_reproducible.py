"""The same inputs give the same bytes: each is built twice, in two caches, and compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestrator.artifacts import BuildContext, Cache
from orchestrator.artifacts.buildroot.sources import debian_sources
from orchestrator.artifacts.buildroot.toolchain import debian_toolchain
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.domu_image import BuildrootDomuImage
from orchestrator.artifacts.kernel import build_kernel
from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.parts import Parts
from tests.system.builders import builder_named


@pytest.fixture
def contexts(parts: Parts, tmp_path: Path) -> tuple[BuildContext, BuildContext]:
    """Of this checkout, each with a cache of its own, at another path."""
    first, second = (
        BuildContext(Cache(tmp_path / name), log=print) for name in ("one", "a-longer-name")
    )
    return first, second


def lend(artifact: Artifact, context: BuildContext) -> None:
    """Put what is an input of both builds, and was downloaded, into another cache."""
    place = context.cache.root / artifact.kind / artifact.key
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(artifact.folder, place, symlinks=True)


def test_an_image_of_debian_packages(
    parts: Parts, contexts: tuple[BuildContext, BuildContext]
) -> None:
    made = []
    for context in contexts:
        lend(debian_tree(parts.context, "domu"), context)
        made.append(builder_named("debian", context).build(context))
    assert made[0].path != made[1].path
    assert made[0].path.read_bytes() == made[1].path.read_bytes()


@pytest.mark.full
def test_an_image_by_buildroot(parts: Parts, contexts: tuple[BuildContext, BuildContext]) -> None:
    made = []
    for context in contexts:
        builder = builder_named("buildroot", context)
        assert isinstance(builder, BuildrootDomuImage)
        tree, external = builder.tree.path, context.root / "buildroot-configs"
        lend(debian_toolchain(parts.context), context)
        lend(debian_sources(parts.context, tree, external), context)
        made.append(builder.build(context))
    assert made[0].inputs["rootfs"] == made[1].inputs["rootfs"]
    assert made[0].path.read_bytes() == made[1].path.read_bytes()


@pytest.mark.full
def test_the_kernel(
    parts: Parts, contexts: tuple[BuildContext, BuildContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCACHE_DISABLE", "1")  # or the second one is the first one's objects
    made = []
    for context in contexts:
        lend(patched_tree(parts.context), context)
        made.append(build_kernel(context))
    assert made[0].path != made[1].path
    assert made[0].path.read_bytes() == made[1].path.read_bytes()
