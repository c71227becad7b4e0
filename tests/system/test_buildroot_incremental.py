"""A second Buildroot build makes what changed, and nothing that did not."""

from __future__ import annotations

import shutil
import tarfile
import time

import pytest

from orchestrator.artifacts import BuildContext, Cache
from orchestrator.artifacts.buildroot import BuildrootTree, build_rootfs
from orchestrator.artifacts.buildroot.sources import debian_sources
from orchestrator.artifacts.buildroot.toolchain import debian_toolchain
from orchestrator.artifacts.domu_image import BuildrootDomuImage
from orchestrator.deadline import slowness
from orchestrator.parts import Parts
from tests.system.builders import builder_named
from tests.system.test_reproducible import lend

OVERLAY_SECONDS = 45.0
COPIED = ("buildroot-configs", "testbed/images/domu")


class Checkout:
    """A copy of what Buildroot is given, to be changed, and what its builds print."""

    def __init__(self, context: BuildContext, tree: BuildrootTree) -> None:
        self.context = context
        self.tree = tree
        self.images = context.images / "domu"
        self.board = context.root / "buildroot-configs/board/testbed/domu"
        self.seconds = 0.0

    def build(self) -> tuple[set[str], dict[str, bytes]]:
        """The packages that were compiled, and the files of the root file system."""
        lines: list[str] = []
        started = time.monotonic()
        rootfs = build_rootfs(self.context, self.tree, "debian", on_line=lines.append)
        self.seconds = time.monotonic() - started
        built = {line.split()[1] for line in lines if ">>> " in line and "Building" in line}
        with tarfile.open(rootfs.path) as tar:
            files = {one.name: tar.extractfile(one) for one in tar if one.isfile()}
            return built, {name: file.read() for name, file in files.items() if file}


@pytest.fixture(scope="module")
def checkout(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(parts.context.root / name, root / name, symlinks=True)
    context = BuildContext(Cache(tmp_path_factory.mktemp("cache")), log=print, root=root)
    builder = builder_named("buildroot", context)
    assert isinstance(builder, BuildrootDomuImage)
    lend(debian_toolchain(parts.context), context)
    external = parts.context.root / "buildroot-configs"
    lend(debian_sources(parts.context, builder.tree.path, external), context)
    return Checkout(context, builder.tree)


@pytest.mark.full
def test_what_changed_is_made_again_and_nothing_else(checkout: Checkout) -> None:
    ours = checkout.images / "overlay/etc/ours"
    ours.write_text("of the overlay alone\n")
    built, files = checkout.build()
    assert {"busybox", "dropbear"} <= built
    assert "./etc/ours" in files

    # a file of the overlay: nothing is compiled
    (checkout.images / "overlay/etc/hosts").write_text("127.0.0.1 changed\n")
    ours.unlink()
    built, files = checkout.build()
    assert built == set()
    assert checkout.seconds <= OVERLAY_SECONDS * slowness()
    assert files["./etc/hosts"] == b"127.0.0.1 changed\n"
    assert "./etc/ours" not in files

    # a package's configuration: that package alone
    before = files["./bin/busybox"]
    fragment = checkout.board / "busybox.fragment"
    changed = fragment.read_text().replace("CONFIG_FSYNC=y", "# CONFIG_FSYNC is not set")
    fragment.write_text(changed)
    built, files = checkout.build()
    assert built == {"busybox"}
    assert files["./bin/busybox"] != before

    # nothing: nothing at all
    assert checkout.build()[0] == set()
    assert checkout.seconds <= 2 * slowness()
