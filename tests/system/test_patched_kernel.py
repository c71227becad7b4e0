"""A researcher's way from an edit to an Image, with Debian's real source. Takes ten minutes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.kernel import build_kernel
from orchestrator.artifacts.kernel_source import series
from orchestrator.deadline import Deadline
from orchestrator.kernel_tree import open_tree, patches_of, save_patches
from orchestrator.kernel_tree.git import Tree
from orchestrator.parts import Parts

pytestmark = pytest.mark.full

FUNCTION = """
int frontswap_of_a_test(void)
{
	return FRONTSWAP_OF_A_TEST;
}
"""
NEW_FILE = """\
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/frontswap.h>

int pageshare_of_a_test(void);

int pageshare_of_a_test(void)
{
	return FRONTSWAP_OF_A_TEST + 1;
}
"""


def context_of(cache: Cache, root: Path) -> BuildContext:
    return BuildContext(cache, log=print, deadline=Deadline.after(3600), root=root)


@pytest.fixture(scope="module")
def tree(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    folder = tmp_path_factory.mktemp("tree") / "linux-test"
    yield open_tree(context_of(parts.context.cache, parts.context.root), "test", folder)
    shutil.rmtree(folder)


def append(tree: Tree, name: str, text: str) -> None:
    path = tree.folder / name
    path.write_text((path.read_text() if path.exists() else "") + text)


def insert(tree: Tree, name: str, text: str, *, before: str) -> None:
    path = tree.folder / name
    old = path.read_text()
    assert before in old
    path.write_text(old.replace(before, text + before, 1))


def edit(tree: Tree) -> None:
    """A source, a header that many include, and a new file with a new symbol."""
    guard = "#endif /* _LINUX_FRONTSWAP_H */"
    define = "#define FRONTSWAP_OF_A_TEST 42\n\n"
    insert(tree, "include/linux/frontswap.h", define, before=guard)
    append(tree, "mm/frontswap.c", FUNCTION)
    pageshare = "drivers/xen/pageshare"
    append(tree, f"{pageshare}/Kconfig", "\nconfig XEN_OF_A_TEST\n\tdef_bool y\n")
    append(tree, f"{pageshare}/Makefile", "obj-$(CONFIG_XEN_OF_A_TEST) += of_a_test.o\n")
    append(tree, f"{pageshare}/of_a_test.c", NEW_FILE)
    first = f"\nF:\t{pageshare}/"  # of a new file, checkpatch wants to know whose it is
    insert(tree, "MAINTAINERS", f"{first}of_a_test.c", before=first)
    tree.git("add", "--all")
    identity = ["-c", "user.name=R. Searcher", "-c", "user.email=r@searcher.example"]
    message = "mm: frontswap: add what a test looks for\n\nIt says why."
    tree.git(*identity, "commit", "--quiet", "--signoff", "--message", message)


def test_the_series_is_written_as_it_was_read(tree: Tree, parts: Parts, tmp_path: Path) -> None:
    made = tree.format_patches("testbed-base", "testbed-series", tmp_path)
    shipped = series(parts.context.patches)
    assert [patch.name for patch in made] == [patch.name for patch in shipped]
    for new, old in zip(made, shipped, strict=True):
        assert new.read_text() == old.read_text(), new.name


def test_a_patch_on_the_base_s_objects_gives_the_image_of_a_whole_build(
    tree: Tree, parts: Parts, tmp_path: Path
) -> None:
    base = build_kernel(parts.context)
    edit(tree)
    saved = save_patches(tree, tmp_path / "patches", on_remark=print)
    assert saved.remarks == ()
    context = replace(parts.context, deadline=Deadline.after(3600))
    lines: list[str] = []
    with patches_of([str(tree.folder)]) as files:
        assert [file.read_bytes() for file in files] == [
            patch.read_bytes() for patch in saved.patches
        ]
        made = build_kernel(context, patches=files, on_line=lines.append)
    print(f"from the patch to the Image: {made.build_seconds} s")

    # all of it, in a cache that knows of nothing
    root = tmp_path / "checkout"
    shutil.copytree(parts.context.root / "guest-kernel-patches", root / "guest-kernel-patches")
    whole_context = context_of(Cache(tmp_path / "cache"), root)
    shutil.copyfile(saved.patches[0], whole_context.patches / "9999-test.patch")
    whole = build_kernel(whole_context)
    print(f"all of it: {whole.build_seconds} s")

    assert made.digest == whole.digest != base.digest
    for name in ("config", "System.map"):
        assert (made.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert "CONFIG_XEN_OF_A_TEST=y" in (made.folder / "config").read_text()
    assert "pageshare_of_a_test" in (made.folder / "System.map").read_text()
    shutil.rmtree(tmp_path / "cache")
