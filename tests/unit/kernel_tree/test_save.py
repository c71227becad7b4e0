from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.kernel_source import series
from orchestrator.errors import InfrastructureError, UserError
from orchestrator.kernel_tree import open_tree, save_patches, save_series
from orchestrator.kernel_tree.git import Tree
from tests.unit.fake_kernel import SERIES, SERIES_NAME, FakeKernel
from tests.unit.kernel_tree.conftest import commit


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_commits_above_the_series_become_files(tree: Tree, tmp_path: Path) -> None:
    commit(tree, "mm/swap.c", "faster\n", "mm: swap: be faster")
    commit(tree, "mm/new.c", "new\n", "mm: add a file")
    saved = save_patches(tree, tmp_path / "out")
    assert names(tmp_path / "out") == ["0001-mm-swap-be-faster.patch", "0002-mm-add-a-file.patch"]
    assert saved.patches == tuple(sorted((tmp_path / "out").iterdir()))
    assert saved.aside is None
    text = saved.patches[0].read_text()
    assert "\nSubject: [PATCH] mm: swap: be faster\n" in text
    assert "\nSigned-off-by: R. Searcher <r@searcher.example>\n" in text
    assert "\n--- a/mm/swap.c\n+++ b/mm/swap.c\n" in text
    assert text.endswith("+faster\n")


def test_saved_again_the_old_files_are_put_aside(tree: Tree, tmp_path: Path) -> None:
    commit(tree, "mm/swap.c", "faster\n", "mm: swap: be faster")
    commit(tree, "mm/new.c", "new\n", "mm: add a file")
    out = tmp_path / "out"
    old = save_patches(tree, out).patches[1].read_text()
    assert save_patches(tree, out).aside is None
    (out / "notes.txt").touch()
    tree.git("commit", "--quiet", "--amend", "--message", "mm: another subject")
    saved = save_patches(tree, out)
    assert names(out) == [
        "0001-mm-swap-be-faster.patch",
        "0002-mm-another-subject.patch",
        "notes.txt",
    ]
    assert saved.aside is not None
    assert (saved.aside / "0002-mm-add-a-file.patch").read_text() == old
    assert names(saved.aside) == ["0002-mm-add-a-file.patch"]


def test_errors_and_warnings_refuse_and_force_does_not(tree: Tree, tmp_path: Path) -> None:
    commit(tree, "mm/swap.c", "BAD\n", "mm: swap: worse")
    said: list[str] = []
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"checkpatch: .*: 1, the first 0001-.*:\d+: BAD; nothing"):
        save_patches(tree, out, on_remark=said.append)
    assert not out.exists()
    assert len(said) == 1
    assert said[0].startswith("0001-mm-swap-worse.patch:")
    saved = save_patches(tree, out, force=True)
    assert [remark.kind for remark in saved.remarks] == ["BAD"]
    assert names(out) == ["0001-mm-swap-worse.patch"]


def test_checks_are_told_and_do_not_refuse(tree: Tree, tmp_path: Path) -> None:
    commit(tree, "mm/swap.c", "ODD\n", "mm: swap: odd")
    said: list[str] = []
    saved = save_patches(tree, tmp_path / "out", on_remark=said.append)
    assert [remark.level for remark in saved.remarks] == ["CHECK"]
    assert len(said) == 1


def test_a_checkpatch_that_breaks_is_no_clean_patch(tree: Tree, tmp_path: Path) -> None:
    commit(tree, "scripts/checkpatch.pl", "#!/bin/sh\necho died >&2\nexit 1\n")
    with pytest.raises(InfrastructureError, match=r"checkpatch did not run: (?s:.*)died"):
        save_patches(tree, tmp_path / "out", force=True)


def test_what_is_in_no_commit_is_refused(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no commit above testbed-series"):
        save_patches(tree, tmp_path / "out")
    (tree.folder / "mm/forgotten.c").write_text("x\n")
    with pytest.raises(UserError, match=r"mm/forgotten\.c not committed"):
        save_patches(tree, tmp_path / "out")


def test_a_merge_is_refused(tree: Tree, tmp_path: Path) -> None:
    tree.git("checkout", "--quiet", "-b", "side")
    commit(tree, "mm/side.c", "side\n")
    tree.git("checkout", "--quiet", "lru")
    commit(tree, "mm/swap.c", "main\n")
    tree.git("merge", "--quiet", "--message", "merge", "side")
    with pytest.raises(UserError, match="has a merge"):
        save_patches(tree, tmp_path / "out")


def edit_series(tree: Tree) -> None:
    tree.git("reset", "--quiet", "--hard", "testbed-base")
    commit(tree, "mm/frontswap.c", "one\nTwo\nthree\n", "mm: frontswap: count politely")


def test_an_edited_series_goes_back_where_it_came_from(tree: Tree, fake: FakeKernel) -> None:
    edit_series(tree)
    with pytest.raises(UserError, match="save that first with testbed save-patch --series"):
        save_patches(tree, fake.folder / "out")
    saved = save_series(tree, fake.context.patches)
    assert [path.name for path in series(fake.context.patches)] == [
        "0001-mm-frontswap-count-politely.patch"
    ]
    assert saved.aside is not None
    assert (saved.aside / SERIES_NAME).read_text() == SERIES
    assert (fake.context.patches / "variants.toml").is_file()
    # the tree's series is now the edited one: commits are above it, and it is saved again
    commit(tree, "mm/swap.c", "faster\n", "mm: swap: be faster")
    assert len(save_patches(tree, fake.folder / "out").patches) == 1
    assert len(save_series(tree, fake.context.patches).patches) == 2
    other = open_tree(fake.context, "other", fake.folder / "linux-other")
    assert (other.folder / "mm/swap.c").read_text() == "faster\n"


def test_an_unchanged_series_is_written_as_it_was(tree: Tree, fake: FakeKernel) -> None:
    saved = save_series(tree, fake.context.patches)
    assert saved.aside is None
    assert (fake.context.patches / SERIES_NAME).read_text() == SERIES


def test_a_series_that_went_on_elsewhere_is_not_written_over(tree: Tree, fake: FakeKernel) -> None:
    edit_series(tree)
    newer = fake.context.patches / "0002-newer.patch"
    newer.write_text("somebody's work")
    with pytest.raises(UserError, match=r"not the series that .* was opened with"):
        save_series(tree, fake.context.patches)
    assert newer.read_text() == "somebody's work"
    saved = save_series(tree, fake.context.patches, force=True)
    assert saved.aside is not None
    assert (saved.aside / newer.name).read_text() == "somebody's work"
