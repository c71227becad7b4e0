"""The commands for a kernel patch of one's own: open a tree, save its commits, build them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestrator.errors import UserError
from orchestrator.progress import Progress

if TYPE_CHECKING:
    from orchestrator.artifacts.context import BuildContext
    from orchestrator.kernel_tree.git import Tree

__all__ = ["build_patched", "new_patch", "save_patch"]

TreeOption = Annotated[
    Path | None, typer.Option("--tree", metavar="FOLDER", help="The git tree of the kernel.")
]


def new_patch(
    name: Annotated[str, typer.Argument(help="The branch for your commits.")],
    tree: Annotated[
        Path | None,
        typer.Option("--tree", metavar="FOLDER", help="Where; linux-NAME in this folder if not."),
    ] = None,
) -> None:
    """Open a git tree of the guest kernel, with the series applied, to write a patch in."""
    from orchestrator.kernel_tree import open_tree

    folder = tree or Path(f"linux-{name.replace('/', '-')}")
    with Progress.of_command("new-patch") as progress:
        context = _context(progress)
        with progress.phase(f"{folder}: Debian's source and the series in git"):
            open_tree(context, name, folder)
    _say(
        f"{folder}: branch {name}, above the series (testbed-base..testbed-series)",
        "next:",
        f"  cd {folder}                        # edit, then git commit -s",
        f"  testbed build-kernel {folder}      # does it compile?",
        f"  testbed save-patch --tree {folder} # checkpatch, then files",
    )


def save_patch(
    tree: TreeOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FOLDER", help="Where; patches/BRANCH beside the tree."),
    ] = None,
    series: Annotated[
        bool,
        typer.Option("--series", help="Write all commits above Debian's source as the series."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also with checkpatch's errors and warnings.")
    ] = False,
) -> None:
    """Write a tree's commits above the series as patch files, checked by checkpatch."""
    from orchestrator.kernel_tree import save_patches, save_series

    if series and output:
        raise UserError("--series writes to the checkout's own series; leave out --output")
    with Progress.of_command("save-patch") as progress:
        found = _tree(tree, progress)
        if series:
            patches = _context(progress).patches
            saved = save_series(found, patches, force=force, on_remark=_say)
        else:
            folder = output or _beside(found)
            saved = save_patches(found, folder, force=force, on_remark=_say)
    _say(*(str(patch) for patch in saved.patches))
    if saved.aside:
        _say(f"what stood there before is in {saved.aside}")


def build_patched(
    patches: Annotated[
        list[str] | None,
        typer.Argument(help="Patch files, folders of them, git trees, or TREE:REVISIONS."),
    ] = None,
    variant: Annotated[str, typer.Option(help="A variant of variants.toml.")] = "pageshare",
) -> None:
    """Build the guest kernel with patches on top of the series, and say where its Image is."""
    from orchestrator.artifacts.kernel import build_kernel
    from orchestrator.kernel_tree import patches_of

    with (
        Progress.of_command("build-kernel") as progress,
        patches_of(patches or [], log=progress.log) as files,
    ):
        context = _context(progress)
        with progress.phase(f"kernel {variant}, patches on the series: {len(files)}"):
            kernel = build_kernel(context, variant, patches=files, on_line=progress.log)
    _say(f"{kernel.path}")


def _context(progress: Progress) -> BuildContext:
    from orchestrator.artifacts.cache import Cache
    from orchestrator.artifacts.context import BuildContext

    return BuildContext(Cache.of_user(log=progress.log), log=progress.log)


def _tree(given: Path | None, progress: Progress) -> Tree:
    """The tree that was named, else the one around the current folder, else the only one in it."""
    from orchestrator.kernel_tree.git import find_tree

    if given is not None:
        return find_tree(given, log=progress.log)
    here = Path.cwd()
    around = [folder for folder in (here, *here.parents) if (folder / "mm/frontswap.c").is_file()]
    inside = [path.parent for path in sorted(here.glob("linux-*/.git"))]
    found = around[:1] or inside
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"--tree says which kernel tree is meant; here are: {names}")
    return find_tree(found[0], log=progress.log)


def _beside(tree: Tree) -> Path:
    branch = tree.branch()
    if branch is None:
        raise UserError(f"{tree.folder}: no branch is checked out; say where with --output")
    return tree.folder.absolute().parent / "patches" / branch


def _say(*lines: str) -> None:
    console = Console()
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
