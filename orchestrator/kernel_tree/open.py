"""Open a git tree of the guest kernel: Debian's source, then the series, a commit each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.kernel_source import series, unpack_source
from orchestrator.commands import CommandFailed, run
from orchestrator.errors import UserError
from orchestrator.kernel_tree.git import BASE_TAG, SERIES_TAG, Tree
from orchestrator.kernel_tree.origin import note_series

__all__ = ["open_tree"]

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "testbed"),
        ("EMAIL", "testbed@localhost"),
        ("DATE", "1970-01-02T00:00:00Z"),
    )
}
"""Base and series have the same ids in every tree, so that trees can fetch from each other."""


def open_tree(context: BuildContext, name: str, folder: Path) -> Tree:
    """Make the git tree ``folder`` with the branch ``name`` checked out above the series.

    The folder appears when it is whole. Raises ``UserError`` for a name that is no branch's,
    a folder that exists, and a series that does not apply.
    """
    patches = series(context.patches)
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder}: exists already; name another one with --tree")
    _require_branch_name(name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        linux = scratch / "linux"
        unpack_source(linux, log=context.log, deadline=context.deadline)
        tree = Tree(linux, log=context.log, deadline=context.deadline.within(900))
        _commit_base(tree, name)
        _apply(tree, patches)
        note_series(tree, context.patches)
        linux.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Tree(folder, log=context.log, deadline=context.deadline)


def _require_branch_name(name: str) -> None:
    try:
        run(["git", "check-ref-format", "--branch", name])
    except CommandFailed as error:
        raise UserError(f"{name!r}: git does not take this as the name of a branch") from error


def _commit_base(tree: Tree, branch: str) -> None:
    tree.git("init", "--quiet", "--initial-branch", branch)
    # disk is cheaper than time here
    tree.git("config", "core.looseCompression", "1")
    # or the first commit sets off a repack of 80,000 objects behind the back of a measurement
    tree.git("config", "gc.auto", "0")
    _see_new_files(tree.folder / ".gitignore")
    # a kernel's .gitignore names files that are in its source, too
    tree.git("add", "--all", "--force")
    tree.git("commit", "--quiet", "--no-verify", "--message=base", env=_WHO)
    tree.git("tag", BASE_TAG)


def _see_new_files(gitignore: Path) -> None:
    """Take out what Debian added for its packaging: to ignore every file, so new ones too."""
    lines = gitignore.read_text().splitlines(keepends=True) if gitignore.is_file() else []
    if "/*\n" in lines:
        gitignore.write_text("".join(lines[: lines.index("/*\n")]))


def _apply(tree: Tree, patches: Sequence[Path]) -> None:
    for patch in patches:
        try:
            tree.git(
                "am",
                "--quiet",
                "--keep-non-patch",
                "--committer-date-is-author-date",
                "--no-3way",
                patch.resolve(),
                env=_WHO,
            )
        except CommandFailed as error:
            first = next((line for line in error.tail.splitlines() if "error:" in line), "")
            raise UserError(
                f"{patch.name}: git am does not apply it ({first.strip() or 'no reason given'}); "
                "testbed build names the hunk"
            ) from error
    tree.git("tag", SERIES_TAG)
