"""What a user may name as patches: a file, a folder, a git tree, a range of its commits.

::

    fix.patch                     this file
    patches/lru                   *.patch in this folder, by name
    linux-lru                     the commits above the series in this git tree
    linux-lru:other               those of another branch, tag or commit
    linux-lru:HEAD~3..HEAD~1      these commits
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.artifacts.kernel_patches import patch_files
from orchestrator.commands import Log, silent
from orchestrator.errors import UserError
from orchestrator.kernel_tree.git import SERIES_TAG, Tree, find_tree

__all__ = ["patches_of"]


@contextmanager
def patches_of(sources: Sequence[str], *, log: Log = silent) -> Iterator[list[Path]]:
    """The patch files that ``sources`` name, in order; those of commits live in a temporary folder.

    Raises ``UserError`` for what is not there, holds no patch, or is not committed.
    """
    with tempfile.TemporaryDirectory(prefix="testbed-patches-") as scratch:
        found: list[Path] = []
        for number, source in enumerate(sources):
            found += _files(source, Path(scratch, str(number)), log)
        yield found


def _files(source: str, scratch: Path, log: Log) -> list[Path]:
    whole = Path(source)
    if (whole / ".git").exists():
        tree = find_tree(whole, log=log)
        tree.require_committed()
        tree.require_series_below("HEAD")
        return _commits(tree, SERIES_TAG, "HEAD", scratch)
    folder, colon, revisions = source.rpartition(":")
    if whole.exists() or not colon or not (Path(folder) / ".git").exists():
        return patch_files(whole)
    tree = find_tree(Path(folder), log=log)
    since, dots, until = revisions.partition("..")
    if not dots:
        since, until = SERIES_TAG, revisions
    for revision in (since, until):
        if tree.commit(revision) is None:
            raise UserError(f"{source}: no commit {revision!r} in this tree")
    if not dots:
        tree.require_series_below(until)
    return _commits(tree, since, until, scratch)


def _commits(tree: Tree, since: str, until: str, scratch: Path) -> list[Path]:
    made = tree.format_patches(since, until, scratch)
    if not made:
        raise UserError(f"{tree.folder}: no commit in {since}..{until}: git commit -s makes one")
    return made
