from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.kernel_tree import open_tree
from orchestrator.kernel_tree.git import Tree
from tests.unit.fake_kernel import FakeKernel, make_fake_kernel, user_environment


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    user_environment(monkeypatch, tmp_path)
    return make_fake_kernel(tmp_path, monkeypatch)


@pytest.fixture
def tree(fake: FakeKernel) -> Tree:
    return open_tree(fake.context, "lru", fake.folder / "linux-lru")


def commit(tree: Tree, file: str, text: str, subject: str = "mm: change") -> None:
    """What a researcher does: an edit and ``git commit -s``."""
    (tree.folder / file).write_text(text)
    tree.git("add", "--all")
    tree.git("commit", "--quiet", "--signoff", "--message", subject)
