"""Patches that a user puts on top of the series: found, read, and put on a tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.kernel_source import apply_series
from orchestrator.errors import UserError

__all__ = [
    "apply_patches",
    "changes_kconfig",
    "make_newest",
    "needs_whole_build",
    "patch_files",
    "touched",
]

_ADVICE = "rebase it on the series (testbed new-patch opens a tree of it)"
_NAMES = (
    re.compile(r"^(?:---|\+\+\+) [^/\s]+/([^\t\n]+)", re.MULTILINE),
    re.compile(r"^(?:rename|copy) (?:from|to) (.+)$", re.MULTILINE),
    # a change of mode alone has no other line
    re.compile(r"^diff --git a/(\S+) b/\S+$", re.MULTILINE),
)
_NOT_TRACKED = ("scripts/", "tools/")
"""Kbuild does not make an object again for every script or tool that had a part in it."""


def patch_files(given: Path) -> list[Path]:
    """``given`` itself if it is a file, its ``*.patch`` files by name if it is a folder.

    Raises ``UserError`` where there is no patch.
    """
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise UserError(f"{given}: no such patch, folder of patches or git tree")
    found = sorted(given.glob("*.patch"))
    if not found:
        raise UserError(f"{given}: no *.patch file in this folder")
    return found


def touched(patches: Iterable[Path]) -> set[str]:
    """Every file that the patches name, relative to the tree; rather one too many."""
    names: set[str] = set()
    for patch in patches:
        text = patch.read_text(errors="replace")
        for pattern in _NAMES:
            names.update(pattern.findall(text))
    return names - {"null"}


def needs_whole_build(names: Iterable[str]) -> bool:
    """Whether a change of these files can reach objects that make would not build again."""
    return any(name.startswith(_NOT_TRACKED) for name in names)


def changes_kconfig(names: Iterable[str]) -> bool:
    """Whether a change of these files can change ``.config``."""
    return any(Path(name).name.startswith("Kconfig") for name in names)


def apply_patches(context: BuildContext, tree: Path, patches: Sequence[Path]) -> None:
    """Apply ``patches`` in order; ``UserError`` names the patch, file and hunk that do not."""
    deadline = context.deadline.within(120)
    apply_series(tree, patches, log=context.log, deadline=deadline, advice=_ADVICE)


def make_newest(tree: Path, names: Iterable[str]) -> None:
    """Make the patched files newer than every object, whenever those were laid beside them."""
    for name in names:
        path = tree / name
        # more than one link: a file of the cached tree that the patch did not write after all
        if path.is_file() and path.stat().st_nlink == 1:
            os.utime(path)
