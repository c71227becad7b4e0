"""Debian's kernel source and our series on top of it, as a cached tree.

The patched tree is an artifact of its own: what builds from it makes hard-linked
copies, and a series that does not apply leaves every earlier tree as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import installed_version
from orchestrator.commands import CommandFailed, Log, run, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import UserError

__all__ = [
    "apply_series",
    "patched_tree",
    "require_frontswap",
    "series",
    "source_tarball",
    "unpack_source",
]

SOURCE_PACKAGE = "linux-source-6.1"

_ADVICE = f"rebase the series on Debian's {SOURCE_PACKAGE}"
_HUNK_FAILED = re.compile(r"^Hunk #(\d+) FAILED at (\d+)", re.MULTILINE)
_FILE = re.compile(r"^(?:checking|patching) file '?([^'\s]+)'?", re.MULTILINE)


def source_tarball() -> tuple[Path, str]:
    """The kernel source that Debian's package installed, and the package's version.

    Raises ``UserError`` when it is not installed.
    """
    version = installed_version(SOURCE_PACKAGE)
    tarball = Path("/usr/src") / f"{SOURCE_PACKAGE}.tar.xz"
    if not tarball.is_file():
        raise UserError(f"{tarball}: no such file; apt-get install --reinstall {SOURCE_PACKAGE}")
    return tarball, version


def unpack_source(tree: Path, *, log: Log, deadline: Deadline) -> None:
    """Make the folder ``tree`` of Debian's kernel source.

    Raises ``UserError`` when there is none, or one that has no frontswap.
    """
    tarball, _ = source_tarball()
    tree.mkdir()
    argv: list[str | Path] = ["tar", "-x", "-f", tarball, "-C", tree, "--strip-components=1"]
    run(argv, log=log, deadline=deadline.within(300))
    require_frontswap(tree)


def series(patches: Path) -> list[Path]:
    """The numbered patches of a kernel line, in order."""
    return sorted(patches.glob("[0-9]*.patch"))


def require_frontswap(tree: Path) -> None:
    """``UserError`` for a kernel source that has no frontswap to hook into."""
    if (tree / "mm" / "frontswap.c").is_file():
        return
    version = _makefile_version(tree / "Makefile")
    raise UserError(
        f"{tree}: Linux {version} has no frontswap (mm/frontswap.c), which the testbed's backend "
        "plugs into; use Linux 6.1, the newest long-term kernel that has it (6.6 removed it)"
    )


def _makefile_version(makefile: Path) -> str:
    text = makefile.read_text() if makefile.is_file() else ""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", text, re.MULTILINE))
    if "VERSION" not in found:
        return "(no version in its Makefile)"
    return ".".join(found[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if name in found)


def apply_series(
    tree: Path,
    patches: Sequence[Path],
    *,
    log: Log = silent,
    deadline: Deadline | None = None,
    advice: str = _ADVICE,
) -> None:
    """Apply ``patches`` to ``tree`` in order, with no fuzz.

    Raises ``UserError`` naming the first patch, file and hunk that do not apply, with
    ``advice`` on what to do about it.
    """
    for patch in patches:
        argv: list[str | Path] = ["patch", "-p1", "--fuzz=0", "--forward", "--batch"]
        argv += ["--no-backup-if-mismatch", "--reject-file=-", "-i", patch.resolve()]
        try:
            run(argv, cwd=tree, env={"LC_ALL": "C"}, log=log, deadline=deadline)
        except CommandFailed as error:
            raise UserError(_explain(patch, error.output + error.tail, advice)) from error


def _explain(patch: Path, output: str, advice: str) -> str:
    """One line that says where ``patch`` failed, from GNU patch's words."""
    hunk = _HUNK_FAILED.search(output)
    if hunk:
        files = _FILE.findall(output[: hunk.start()])
        where = f"{files[-1]} " if files else ""
        return f"{patch.name}: {where}hunk #{hunk[1]} (line {hunk[2]}) does not apply; {advice}"
    lines = [line for line in output.splitlines() if line.strip()]
    missing = [line for line in lines if "find file to patch" in line]
    named = [line[7:].split("\t")[0] for line in lines if line.startswith("|--- a/")]
    if missing:
        name = named[-1] if named else "the file it changes"
        return f"{patch.name}: hunk #1 of {name} does not apply: no such file; {advice}"
    reason = lines[-1] if lines else "patch gave no reason"
    return f"{patch.name}: does not apply: {reason}; {advice}"


def patched_tree(context: BuildContext) -> Artifact:
    """The unpacked source with the whole series applied: ``Artifact.folder / "linux"``."""
    tarball, version = source_tarball()
    patches = series(context.patches)
    inputs: dict[str, str | Path] = {"source": tarball, "version": version}
    for patch in patches:
        inputs[f"patch {patch.name}"] = patch

    def build(folder: Path) -> None:
        tree = folder / "linux"
        unpack_source(tree, log=context.log, deadline=context.deadline)
        apply_series(tree, patches, log=context.log, deadline=context.deadline.within(120))
        (folder / "series.txt").write_text("".join(f"{patch.name}\n" for patch in patches))

    return context.cache.get(
        "kernel-tree", inputs, build, main="series.txt", deadline=context.deadline
    )
