"""The guest kernel: Debian's 6.1 source, our series, a variant's config, a user's patches."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import installed_version
from orchestrator.artifacts.kernel_make import FIXED, configure, make
from orchestrator.artifacts.kernel_objects import IMAGE, built_objects, lay_objects, link_source
from orchestrator.artifacts.kernel_patches import (
    apply_patches,
    changes_kconfig,
    make_newest,
    needs_whole_build,
    touched,
)
from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.artifacts.kernel_variant import (
    Variant,
    dropped_symbols,
    load_variant,
    parse_config,
)
from orchestrator.commands import CommandFailed, Log
from orchestrator.errors import UserError

__all__ = ["Variant", "build_kernel", "dropped_symbols", "load_variant", "parse_config"]

_ERROR = re.compile(r"^\S+:\d+:(?:\d+:)? (?:fatal )?error: .*|^.*undefined reference to .*", re.M)


def build_kernel(
    context: BuildContext,
    variant: str = "pageshare",
    *,
    patches: Sequence[Path] = (),
    on_line: Log | None = None,
) -> Artifact:
    """The arm64 ``Image`` (``Artifact.path``), with ``config`` and ``System.map`` beside it.

    ``patches`` are files that go on top of the series, in this order; the artifact keeps
    them in ``patches/``. A patched kernel is made from the objects of the one without, and
    is the same, byte for byte, as if everything had been built. ``on_line`` sees make's
    progress, a line an object. Raises ``UserError`` for a patch that does not apply or does
    not compile, and for symbols that Kconfig dropped.
    """
    chosen = load_variant(context.patches, variant)
    base = _inputs(context, chosen)
    if patches:
        # a patch's text counts, its name does not
        inputs = base | {f"patch {number:04}": patch for number, patch in enumerate(patches, 1)}
    else:
        inputs = base

    def build(folder: Path) -> None:
        if not patches:
            built = built_objects(context, chosen, base, on_line=on_line)
            _keep(built.folder / "objects", folder)
            return
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            tree = Path(scratch, "linux")
            link_source(context, tree)
            apply_patches(context, tree, patches)  # first: it may fail, and all else takes longer
            _prepare(context, tree, chosen, base, touched(patches), on_line)
            _make_patched(context, tree, on_line)
            _keep(tree, folder)
            # its objects are not kept, and a debugger wants the symbols
            shutil.copyfile(tree / "vmlinux", folder / "vmlinux")
        _keep_patches(patches, folder / "patches")

    return context.cache.get("kernel", inputs, build, main="Image", deadline=context.deadline)


def _prepare(
    context: BuildContext,
    tree: Path,
    variant: Variant,
    base: dict[str, str | Path],
    names: set[str],
    on_line: Log | None,
) -> None:
    """Bring a tree, whose patches changed the files ``names``, to where make can go on."""
    whole = needs_whole_build(names)
    if not whole:
        objects = built_objects(context, variant, base, on_line=on_line)
        lay_objects(context, objects, tree)
        make_newest(tree, names)
    if whole or changes_kconfig(names):
        configure(context, tree, variant)


def _make_patched(context: BuildContext, tree: Path, on_line: Log | None) -> None:
    """``UserError`` with the first error that compiler or linker have with the patches."""
    try:
        make(context, tree, ["Image"], on_line=on_line)
    except CommandFailed as error:
        found = _ERROR.search(error.tail)
        if found is None:
            raise
        raise UserError(f"the kernel does not build with the patches: {found[0]}") from error


def _inputs(context: BuildContext, variant: Variant) -> dict[str, str | Path]:
    """What the kernel of the series alone depends on."""
    inputs: dict[str, str | Path] = {
        "tree": patched_tree(context).key,
        "compiler": installed_version("gcc-12-aarch64-linux-gnu"),
        "binutils": installed_version("binutils-aarch64-linux-gnu"),
        "variables": " ".join(f"{name}={value}" for name, value in sorted(FIXED.items())),
        "variant": variant.name,
        "recipe": "1",
    }
    for number, fragment in enumerate(variant.fragments):
        inputs[f"fragment {number} {fragment.name}"] = fragment
    return inputs


def _keep(tree: Path, folder: Path) -> None:
    shutil.copyfile(tree / IMAGE, folder / "Image")
    shutil.copyfile(tree / ".config", folder / "config")
    shutil.copyfile(tree / "System.map", folder / "System.map")


def _keep_patches(patches: Sequence[Path], folder: Path) -> None:
    folder.mkdir()
    for number, patch in enumerate(patches, 1):
        name = patch.name.removeprefix(f"{number:04}-")
        shutil.copyfile(patch, folder / f"{number:04}-{name}")
