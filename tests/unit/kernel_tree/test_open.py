from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.kernel_tree import open_tree
from orchestrator.kernel_tree.git import Tree, find_tree
from tests.unit.fake_kernel import SERIES, SERIES_NAME, SOURCE, FakeKernel


def test_base_series_and_branch(tree: Tree) -> None:
    assert tree.git("log", "--format=%s").splitlines() == [
        "mm: frontswap: count in capitals",
        "base",
    ]
    assert tree.commit("testbed-base") == tree.commit("HEAD~1")
    assert tree.commit("testbed-series") == tree.commit("HEAD")
    assert tree.branch() == "lru"
    assert (tree.folder / "mm/frontswap.c").read_text() == "one\nTWO\nthree\n"
    assert tree.git("log", "-1", "--format=%an <%ae>") == "A Maintainer <a@maintainer.example>\n"
    tree.require_committed()


def test_the_base_has_what_gitignore_names_too(tree: Tree) -> None:
    assert set(tree.git("ls-files").splitlines()) == {*SOURCE, "mm/added.c"}


def test_every_tree_has_the_same_commits(fake: FakeKernel, tree: Tree) -> None:
    other = open_tree(fake.context, "mm/other", fake.folder / "deep/linux-other")
    assert other.commit("testbed-series") == tree.commit("testbed-series")
    assert other.branch() == "mm/other"


def test_a_folder_that_exists_is_left_alone(fake: FakeKernel) -> None:
    folder = fake.folder / "linux-lru"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(UserError, match="linux-lru: exists already; name another one"):
        open_tree(fake.context, "lru", folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["two words", "-f", "a..b", ""])
def test_a_name_that_is_no_branch_s(fake: FakeKernel, name: str) -> None:
    with pytest.raises(UserError, match="git does not take this as the name of a branch"):
        open_tree(fake.context, name, fake.folder / "linux-x")


def test_a_series_that_does_not_apply_leaves_nothing(fake: FakeKernel) -> None:
    bad = SERIES.replace("-two", "-zwei")
    (fake.context.patches / "0002-bad.patch").write_text(bad)
    before = sorted(fake.folder.iterdir())
    with pytest.raises(UserError, match=r"^0002-bad\.patch: git am does not apply it \(error: "):
        open_tree(fake.context, "lru", fake.folder / "linux-lru")
    assert sorted(fake.folder.iterdir()) == before


def test_a_source_without_frontswap_is_refused(fake: FakeKernel) -> None:
    (fake.source / "mm/frontswap.c").unlink()
    fake.pack()
    with pytest.raises(UserError, match="has no frontswap"):
        open_tree(fake.context, "lru", fake.folder / "linux-lru")
    assert not (fake.folder / "linux-lru").exists()


def test_only_a_tree_of_ours_is_found(fake: FakeKernel, tree: Tree) -> None:
    assert find_tree(tree.folder).commit("HEAD") == tree.commit("HEAD")
    with pytest.raises(UserError, match="mm: not the top of a git tree"):
        find_tree(tree.folder / "mm")
    tree.git("tag", "--delete", "testbed-series")
    with pytest.raises(UserError, match="linux-lru: no tag testbed-series"):
        find_tree(tree.folder)


def test_the_fake_series_is_as_git_writes_it(tree: Tree, fake: FakeKernel) -> None:
    made = tree.format_patches("testbed-base", "testbed-series", fake.folder / "out")
    assert [patch.name for patch in made] == [SERIES_NAME]
    assert made[0].read_text() == SERIES
