"""One kernel tree in git: the tags that say where the series begins and ends, and its commits.

::

    testbed-base     Debian's source, one commit
      0001 ... 0009  the series, a commit each
    testbed-series   its last commit
      your commits
    HEAD
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.commands import CommandFailed, Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError

__all__ = ["BASE_TAG", "SERIES_TAG", "Tree", "find_tree"]

BASE_TAG = "testbed-base"
SERIES_TAG = "testbed-series"

# whatever the user's own configuration says
_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.autocrlf=false",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "diff.noprefix=false",
    "diff.mnemonicPrefix=false",
    "diff.renames=true",
    "format.useAutoBase=false",
)
_FORMAT = (
    "--no-attach",
    "--no-from",
    "--no-to",
    "--no-cc",
    "--no-add-header",
    "--zero-commit",
    "--no-numbered",
    "--no-signature",
    "--no-cover-letter",
    "--no-thread",
    "--no-notes",
    "--subject-prefix=PATCH",
    "--diff-algorithm=myers",
    "--stat",
    "--summary",
    "--patch",
    "--unified=3",
    "--abbrev=7",
    "--suffix=.patch",
)
"""As the series' own files are written: a commit that did not change gives the same bytes."""


@dataclass(frozen=True)
class Tree:
    """A git tree of the kernel in ``folder``."""

    folder: Path
    log: Log = silent
    deadline: Deadline = field(default_factory=lambda: Deadline.after(600))

    def git(self, *words: str | Path, env: Mapping[str, str] | None = None) -> str:
        """Standard output of a git command in the tree. Raises ``CommandFailed``."""
        argv: list[str | Path] = ["git"]
        for option in _OPTIONS:
            argv += ["-c", option]
        # git's messages are read in places
        environment = {"LC_ALL": "C"} | dict(env or {})
        return run(
            [*argv, *words],
            cwd=self.folder,
            env=environment,
            log=self.log,
            deadline=self.deadline,
        ).stdout

    def commit(self, revision: str) -> str | None:
        """The full id of the commit that ``revision`` names, or None."""
        try:
            name = f"{revision}^{{commit}}"
            return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", name).strip()
        except CommandFailed:
            return None

    def branch(self) -> str | None:
        """The branch that is checked out, or None."""
        return self.git("branch", "--show-current").strip() or None

    def require_committed(self) -> None:
        """``UserError`` where an edit is in no commit, and so would be in no patch."""
        changed = self.git("status", "--porcelain").splitlines()
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise UserError(
                f"{self.folder}: {changed[0][3:]}{more} not committed: git commit -s (or git stash)"
            )

    def require_series_below(self, revision: str) -> None:
        """``UserError`` unless the series, as it was opened, is all below ``revision``."""
        try:
            self.git("merge-base", "--is-ancestor", SERIES_TAG, revision)
        except CommandFailed as error:
            raise UserError(
                f"{self.folder}: {revision} is not above {SERIES_TAG}, the series itself was "
                "changed: save that first with testbed save-patch --series"
            ) from error

    def format_patches(self, since: str, until: str, output: Path) -> list[Path]:
        """Write the commits of ``since..until`` to ``output``, a numbered file each."""
        if self.git("rev-list", "--merges", "--max-count=1", f"{since}..{until}"):
            raise UserError(
                f"{self.folder}: {since}..{until} has a merge, which no patch can hold: git rebase"
            )
        argv = ["format-patch", "--quiet", *_FORMAT, "--output-directory"]
        self.git(*argv, output.resolve(), f"{since}..{until}")
        return sorted(output.glob("[0-9]*.patch"))


def find_tree(folder: Path, *, log: Log = silent) -> Tree:
    """The tree whose top ``folder`` is. Raises ``UserError`` if it is none of ours."""
    if not (folder / ".git").exists():
        raise UserError(f"{folder}: not the top of a git tree; testbed new-patch NAME opens one")
    tree = Tree(folder, log=log)
    for tag in (BASE_TAG, SERIES_TAG):
        if tree.commit(f"refs/tags/{tag}") is None:
            raise UserError(f"{folder}: no tag {tag}; testbed new-patch NAME opens a tree with it")
    return tree
