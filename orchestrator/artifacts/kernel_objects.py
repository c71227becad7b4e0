"""All objects of the series' own kernel, kept so that a patched one is made from them.

::

    linux (hard links)  the source with the series, from the cache
      + objects         copied, with their times: make finds everything up to date
      + the patch       newer than every object: make builds what depends on it

Kbuild names files relative to the top of the tree, so the objects serve in any folder; the
vdso alone has absolute names in it, and is made again. Objects are copied and never linked:
tools write some of them in place.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.kernel_make import configure, make
from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.artifacts.kernel_variant import Variant
from orchestrator.commands import Log, run

__all__ = ["IMAGE", "built_objects", "keep_generated", "lay_objects", "link_source"]

IMAGE = "arch/arm64/boot/Image"


def built_objects(
    context: BuildContext,
    variant: Variant,
    inputs: dict[str, str | Path],
    *,
    on_line: Log | None = None,
) -> Artifact:
    """What a whole build adds to the source: ``Artifact.folder / "objects"``.

    ``inputs`` are those of the kernel itself. ``Artifact.path`` is the ``Image``.
    """

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            tree = Path(scratch, "linux")
            source = link_source(context, tree)
            configure(context, tree, variant)
            make(context, tree, ["Image"], on_line=on_line)
            keep_generated(tree, source)
            tree.rename(folder / "objects")

    main = f"objects/{IMAGE}"
    return context.cache.get("kernel-objects", inputs, build, main=main, deadline=context.deadline)


def link_source(context: BuildContext, tree: Path) -> Path:
    """Make ``tree`` a copy, by hard links, of the cached source, whose folder is returned."""
    source = patched_tree(context).folder / "linux"
    # Kbuild only ever adds files to a source tree, and patch puts new files in place of old ones
    run(["cp", "-al", source, tree], log=context.log, deadline=context.deadline.within(120))
    return source


def lay_objects(context: BuildContext, objects: Artifact, tree: Path) -> None:
    """Copy the objects into ``tree``, with their times; a file that is there already stays."""
    argv: list[str | Path] = ["cp", "-a", "--no-clobber", "--reflink=auto"]
    run(
        [*argv, f"{objects.folder / 'objects'}/.", tree],
        log=context.log,
        deadline=context.deadline.within(120),
    )


def keep_generated(tree: Path, source: Path) -> None:
    """Leave in ``tree`` only what is not in ``source``."""
    for folder, _, names in os.walk(tree, topdown=False):
        here = Path(folder)
        beside = source / here.relative_to(tree)
        for name in names:
            if os.path.lexists(beside / name):
                (here / name).unlink()
        if here != tree and not any(here.iterdir()):
            here.rmdir()
