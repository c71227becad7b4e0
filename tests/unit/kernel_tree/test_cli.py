from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import patch_cli
from orchestrator.cli import main
from orchestrator.kernel_tree.git import Tree
from tests.unit.fake_kernel import SERIES_NAME, FakeKernel
from tests.unit.kernel_tree.conftest import commit


@pytest.fixture
def here(fake: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; commands work with the fake kernel's checkout and cache."""
    monkeypatch.setattr("orchestrator.artifacts.context.checkout", lambda: fake.context.root)
    monkeypatch.setattr(patch_cli, "_context", lambda progress: fake.context)
    monkeypatch.chdir(fake.folder)
    return fake.folder


def ask(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr("sys.argv", ["testbed", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_from_a_new_tree_to_an_image(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "new-patch", "mm/lru") == 0
    assert "testbed save-patch --tree linux-mm-lru" in capsys.readouterr().out
    tree = Tree(here / "linux-mm-lru")
    commit(tree, "mm/swap.c", "faster\n", "mm: swap: be faster")

    assert ask(monkeypatch, "save-patch") == 0
    (saved,) = (here / "patches/mm/lru").iterdir()
    assert f"{saved}\n" in capsys.readouterr().out

    for source in ("linux-mm-lru", "patches/mm/lru", str(saved)):
        assert ask(monkeypatch, "build-kernel", "--variant", "small", source) == 0
        image = Path(capsys.readouterr().out.splitlines()[-1])
        assert "faster" in image.read_text()


def test_an_error_is_one_line_and_2(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "linux-lru").mkdir()
    assert ask(monkeypatch, "new-patch", "lru") == 2
    assert capsys.readouterr().err == (
        "testbed: linux-lru: exists already; name another one with --tree\n"
    )
    assert ask(monkeypatch, "save-patch", "--tree", "linux-lru") == 2
    assert "not the top of a git tree" in capsys.readouterr().err
    assert ask(monkeypatch, "build-kernel", "absent.patch") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_tree_around_or_the_only_one_here_is_meant(
    here: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(tree, "mm/swap.c", "faster\n", "mm: swap: be faster")
    monkeypatch.chdir(tree.folder / "mm")
    assert ask(monkeypatch, "save-patch") == 0
    assert len(list((here / "patches/lru").iterdir())) == 1
    monkeypatch.chdir(here)
    assert ask(monkeypatch, "new-patch", "b") == 0
    assert ask(monkeypatch, "save-patch") == 2
    assert "here are: linux-b, linux-lru" in capsys.readouterr().err
    tree.git("checkout", "--quiet", "--detach")
    assert ask(monkeypatch, "save-patch", "--tree", "linux-lru") == 2
    assert "no branch is checked out; say where with --output" in capsys.readouterr().err
    assert ask(monkeypatch, "save-patch", "--tree", "linux-lru", "--output", "out") == 0
    assert len(list((here / "out").iterdir())) == 1


def test_the_series_is_written_to_the_checkout(
    here: Path, tree: Tree, fake: FakeKernel, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    commit(tree, "mm/swap.c", "BAD\n", "mm: swap: worse")
    assert ask(monkeypatch, "save-patch", "--series", "--output", "out") == 2
    assert ask(monkeypatch, "save-patch", "--series") == 2
    assert "WARNING:BAD: a bad line" in capsys.readouterr().out
    assert ask(monkeypatch, "save-patch", "--series", "--force") == 0
    names = sorted(path.name for path in fake.context.patches.glob("*.patch"))
    assert names == [SERIES_NAME, "0002-mm-swap-worse.patch"]
