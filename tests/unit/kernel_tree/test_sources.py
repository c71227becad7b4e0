from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.kernel import build_kernel
from orchestrator.errors import UserError
from orchestrator.kernel_tree import patches_of
from orchestrator.kernel_tree.git import Tree
from tests.unit.fake_kernel import FakeKernel
from tests.unit.kernel_tree.conftest import commit


@pytest.fixture
def three(tree: Tree) -> Tree:
    for number, text in enumerate(("one", "two", "three"), 1):
        commit(tree, "mm/swap.c", f"{text}\n", f"mm: patch {number}")
    return tree


def subjects(*sources: str) -> list[str]:
    with patches_of(sources) as files:
        return [path.name for path in files]


def test_files_folders_and_trees_in_the_order_given(three: Tree, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("b.patch", "a.patch"):
        (folder / name).touch()
    (tmp_path / "z.patch").touch()
    assert subjects(str(tmp_path / "z.patch"), str(folder), str(three.folder)) == [
        "z.patch", "a.patch", "b.patch",
        "0001-mm-patch-1.patch", "0002-mm-patch-2.patch", "0003-mm-patch-3.patch",
    ]  # fmt: skip
    assert subjects() == []


def test_a_branch_and_a_range_of_a_tree(three: Tree) -> None:
    assert subjects(f"{three.folder}:HEAD~2") == ["0001-mm-patch-1.patch"]
    assert subjects(f"{three.folder}:HEAD~2..HEAD~1") == ["0001-mm-patch-2.patch"]
    assert len(subjects(f"{three.folder}:lru")) == 3
    # commits that are named are what is meant, whatever lies beside them
    (three.folder / "mm/swap.c").write_text("edited\n")
    assert len(subjects(f"{three.folder}:lru")) == 3


def test_what_cannot_be_meant_is_one_line(three: Tree, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no commit 'nobody' in this tree"):
        subjects(f"{three.folder}:nobody")
    with pytest.raises(UserError, match=r"no commit in HEAD\.\.HEAD"):
        subjects(f"{three.folder}:HEAD..HEAD")
    with pytest.raises(UserError, match="absent:HEAD: no such patch"):
        subjects(f"{tmp_path}/absent:HEAD")
    with pytest.raises(UserError, match="testbed-base is not above testbed-series"):
        subjects(f"{three.folder}:testbed-base")
    (three.folder / "mm/swap.c").write_text("edited\n")
    with pytest.raises(UserError, match=r"mm/swap\.c not committed"):
        subjects(str(three.folder))


def test_a_tree_s_kernel_is_built_and_found_again(three: Tree, fake: FakeKernel) -> None:
    keys = set()
    for _ in range(2):
        with patches_of([str(three.folder)]) as files:
            made = build_kernel(fake.context, "small", patches=files)
        keys.add(made.key)
    assert "three" in made.path.read_text()
    assert len(keys) == 1
