"""Which series a tree was opened with, so that a newer one is not written over by an older.

The tree's own git configuration keeps the digest.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.digests import file_digest, text_digest
from orchestrator.artifacts.kernel_source import series
from orchestrator.commands import CommandFailed
from orchestrator.errors import UserError
from orchestrator.kernel_tree.git import Tree

__all__ = ["note_series", "require_same_series"]

_KEY = "testbed.series"


def note_series(tree: Tree, patches: Path) -> None:
    """Remember the series in the folder ``patches`` as the tree's."""
    tree.git("config", _KEY, _digest(patches))


def require_same_series(tree: Tree, patches: Path) -> None:
    """``UserError`` if the series in ``patches`` is not the tree's."""
    try:
        noted = tree.git("config", "--get", _KEY).strip()
    except CommandFailed:
        noted = ""
    if noted != _digest(patches):
        raise UserError(
            f"{patches}: not the series that {tree.folder} was opened with: take your commits to "
            "a new tree (testbed new-patch, git fetch, git rebase), or --force to replace it"
        )


def _digest(patches: Path) -> str:
    return text_digest("".join(f"{patch.name} {file_digest(patch)}\n" for patch in series(patches)))
