"""Where Buildroot itself is: a folder of the user's, or the pinned release in the cache.

Nothing here downloads, but for ``fetch_tree``, which is ``make buildroot``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.digests import text_digest, tree_digest
from orchestrator.commands import run
from orchestrator.errors import UserError

__all__ = [
    "COMMIT",
    "FOLDER_VARIABLE",
    "RELEASE",
    "BuildrootTree",
    "fetch_tree",
    "find_tree",
]

RELEASE = "2025.02.14"
"""The release (and git tag) that ``make buildroot`` brings."""

COMMIT = "898251ee2b83a9cd5ae0ae5db57828035a5a6f85"
"""The commit that the tag must be."""

URL = "https://gitlab.com/buildroot.org/buildroot.git"
"""Buildroot's own repository; ``BUILDROOT_URL`` names a mirror of it."""

FOLDER_VARIABLE = "BUILDROOT_DIR"

_VERSION = re.compile(r"^export BR2_VERSION := (\S+)$", re.MULTILINE)
_NOT_SOURCE = frozenset({".git", "dl", "output"})
"""Of a tree that was built in by hand: what is no part of Buildroot."""


@dataclass(frozen=True)
class BuildrootTree:
    """A Buildroot source tree."""

    path: Path
    version: str
    """``BR2_VERSION`` as its Makefile has it."""


def find_tree(cache: Cache, environment: Mapping[str, str] = os.environ) -> BuildrootTree | None:
    """The tree of ``BUILDROOT_DIR``, else the one in the cache, else None.

    Raises ``UserError`` where ``BUILDROOT_DIR`` is no Buildroot tree.
    """
    given = environment.get(FOLDER_VARIABLE)
    if given:
        path = Path(given).absolute()
        version = _version(path)
        if version is None:
            raise UserError(
                f"{FOLDER_VARIABLE} = {given}: no Buildroot tree (its Makefile gives no "
                f"BR2_VERSION); allowed is the folder of a release, such as {RELEASE}"
            )
        return BuildrootTree(path, version)
    path = _place(cache)
    version = _version(path)
    return BuildrootTree(path, version) if version else None


def content_digest(cache: Cache, tree: BuildrootTree) -> str:
    """SHA-256 (hex) of the tree's files.

    Seventeen thousand files are read once; then their digest is known by their names,
    sizes and times.
    """
    seen: list[tuple[str, int, int]] = []
    for folder, folders, files in os.walk(tree.path):
        if Path(folder) == tree.path:
            folders[:] = [name for name in folders if name not in _NOT_SOURCE]
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)  # noqa: PTH118 - in a loop over all files
            status = os.lstat(path)
            seen.append((path, status.st_size, status.st_mtime_ns))

    def digest() -> str:
        parts = {
            path.name: cache.digest_of(path) if path.is_file() else tree_digest(path)
            for path in sorted(tree.path.iterdir())
            if path.name not in _NOT_SOURCE
        }
        return text_digest(json.dumps(parts, sort_keys=True))

    return cache.remembered_digest(seen, digest)


def fetch_tree(context: BuildContext, environment: Mapping[str, str] = os.environ) -> BuildrootTree:
    """Clone the pinned release into the cache, where it is not there yet.

    Raises:
        UserError: what was cloned is not the pinned commit; it is not kept.
        InfrastructureError: it cannot be cloned.
    """
    place = _place(context.cache)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.parent / f"{RELEASE}.lock", timeout=context.deadline.remaining):
        found = _version(place)
        if found is None:
            url = environment.get("BUILDROOT_URL") or URL
            with tempfile.TemporaryDirectory(prefix="cloning-", dir=place.parent) as scratch:
                clone = Path(scratch, "buildroot")
                _clone(context, url, clone)
                shutil.rmtree(place, ignore_errors=True)
                clone.rename(place)
            found = RELEASE
    return BuildrootTree(place, found)


def _clone(context: BuildContext, url: str, clone: Path) -> None:
    argv: list[str | Path] = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet"]
    argv += ["--depth=1", f"--branch={RELEASE}", url, clone]
    run(argv, log=context.log, deadline=context.deadline.within(1800))
    head = run(["git", "-C", clone, "rev-parse", "HEAD"], log=context.log).stdout.strip()
    if head != COMMIT:
        raise UserError(
            f"{url}: its tag {RELEASE} is commit {head}, and only {COMMIT} is accepted; "
            "nothing was kept"
        )


def _place(cache: Cache) -> Path:
    return cache.root / "buildroot" / RELEASE


def _version(path: Path) -> str | None:
    try:
        found = _VERSION.search((path / "Makefile").read_text(errors="replace"))
    except OSError:
        return None
    return found[1] if found else None
