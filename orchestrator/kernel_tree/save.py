"""Write a tree's commits as patch files, once checkpatch has nothing grave to say of them.

Nothing is lost: where a file stands that the new set has not, it is moved aside.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.kernel_source import series
from orchestrator.commands import Log, silent
from orchestrator.errors import UserError
from orchestrator.kernel_tree.checkpatch import Remark, check_patch
from orchestrator.kernel_tree.git import BASE_TAG, SERIES_TAG, Tree
from orchestrator.kernel_tree.origin import note_series, require_same_series

__all__ = ["Saved", "save_patches", "save_series"]


@dataclass(frozen=True)
class Saved:
    """What was written where."""

    folder: Path
    patches: tuple[Path, ...]
    remarks: tuple[Remark, ...]
    aside: Path | None
    """Where files are now that stood in ``folder`` before; None if no file had to go."""


def save_patches(
    tree: Tree, output: Path, *, force: bool = False, on_remark: Log = silent
) -> Saved:
    """Write the commits above the series to ``output``, in place of the patches there.

    ``on_remark`` sees each remark of checkpatch as a line. Raises ``UserError``, and writes
    nothing, for edits that are in no commit, for no commit at all, and, unless ``force``,
    for errors and warnings of checkpatch.
    """
    tree.require_committed()
    tree.require_series_below("HEAD")
    return _save(tree, SERIES_TAG, output, force, on_remark)


def save_series(
    tree: Tree, patches: Path, *, force: bool = False, on_remark: Log = silent
) -> Saved:
    """Write every commit above Debian's source to the folder ``patches``, as the series.

    Raises what ``save_patches`` does, and ``UserError`` where the series in ``patches`` is not
    the one that the tree was opened with. Afterwards the tree's series ends at HEAD.
    """
    tree.require_committed()
    if not force:
        require_same_series(tree, patches)
    saved = _save(tree, BASE_TAG, patches, force, on_remark)
    tree.git("tag", "--force", SERIES_TAG, "HEAD")
    note_series(tree, patches)
    return saved


def _save(tree: Tree, since: str, output: Path, force: bool, on_remark: Log) -> Saved:
    with tempfile.TemporaryDirectory(prefix="testbed-patches-") as scratch:
        made = tree.format_patches(since, "HEAD", Path(scratch))
        if not made:
            raise UserError(f"{tree.folder}: no commit above {since}: git commit -s makes one")
        remarks = [remark for patch in made for remark in _check(tree, patch, on_remark)]
        grave = [remark for remark in remarks if remark.grave]
        if grave and not force:
            first = f"{grave[0].patch}:{grave[0].line}: {grave[0].kind}"
            raise UserError(
                f"checkpatch: errors and warnings: {len(grave)}, the first {first}; nothing was "
                "written: amend the commits, or --force"
            )
        aside = _replace(output, made, tree.folder)
    written = tuple(output / patch.name for patch in made)
    return Saved(output, written, tuple(remarks), aside)


def _check(tree: Tree, patch: Path, on_remark: Log) -> list[Remark]:
    remarks = check_patch(tree.folder, patch, log=tree.log, deadline=tree.deadline)
    for remark in remarks:
        on_remark(str(remark))
    return remarks


def _replace(folder: Path, made: Sequence[Path], tree: Path) -> Path | None:
    """Make ``made`` the patches of ``folder``; the folder beside ``tree`` where others went."""
    folder.mkdir(parents=True, exist_ok=True)
    new = {patch.name: patch.read_bytes() for patch in made}
    gone = [old for old in series(folder) if new.get(old.name) != old.read_bytes()]
    aside = None
    if gone:
        stamp = f"{tree.name}-before-{time.strftime('%Y%m%dT%H%M%S')}-"
        aside = Path(tempfile.mkdtemp(prefix=stamp, dir=tree.parent))
        for old in gone:
            shutil.move(old, aside / old.name)
    for patch in made:
        shutil.copyfile(patch, folder / patch.name)
    return aside
