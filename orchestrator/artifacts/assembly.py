"""Put an image's folder together: packages, what to leave out, overlay, links.

What maintainer scripts would have made (``/bin/sh``, ``cc``, ``awk``, users) is
made here instead, from data files beside the package list:

- ``exclude.txt``: globs, relative to the image's root, that are removed
- ``overlay/``: files that are copied over the packages'
- ``links.txt``: ``link -> target`` lines, made last
- ``folders.txt``: empty folders, mount points mostly
"""

from __future__ import annotations

import compileall
import shutil
from pathlib import Path
from py_compile import PycInvalidationMode

from orchestrator.artifacts import ext4
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext, read_list
from orchestrator.artifacts.debian import unpack
from orchestrator.errors import UserError

__all__ = ["assemble", "authorize", "compile_python", "recipe_inputs"]


def recipe_inputs(context: BuildContext, name: str, tree: Artifact) -> dict[str, str | Path]:
    """The cache inputs of an image: its packages' versions, its data files, our own code."""
    return {
        "packages": tree.digest,
        "recipe": context.images / name,
        "code assembly": Path(__file__),
        "code ext4": Path(ext4.__file__),
    }


def assemble(context: BuildContext, name: str, tree: Artifact, folder: Path) -> None:
    """Make the contents of the image ``name`` in ``folder`` (see the module's docstring)."""
    data = context.images / name
    unpack(context, tree, folder)
    _exclude(folder, _optional(data / "exclude.txt"))
    for line in _optional(data / "folders.txt"):
        (folder / line).mkdir(parents=True, exist_ok=True)
    overlay = data / "overlay"
    if overlay.is_dir():
        shutil.copytree(overlay, folder, symlinks=True, dirs_exist_ok=True)
    _link(folder, _optional(data / "links.txt"), data / "links.txt")
    applets = _optional(data / "applets.txt")
    _link(folder, [f"bin/{applet} -> busybox" for applet in applets], data / "applets.txt")


def authorize(folder: Path, public_key: str) -> None:
    """Let the holder of ``public_key`` log in as root by SSH."""
    home = folder / "root"
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, exist_ok=True)
    keys = ssh / "authorized_keys"
    keys.write_text(public_key.strip() + "\n")
    for path, mode in ((home, 0o700), (ssh, 0o700), (keys, 0o600)):
        path.chmod(mode)


def compile_python(folder: Path) -> None:
    """Compile the tree's Python modules: emulated Python starts three times faster so.

    Byte code is the same on every architecture; host and dom0 both run Python 3.11.
    """
    for library in (folder / "usr/lib/python3.11", folder / "usr/lib/python3/dist-packages"):
        compileall.compile_dir(
            library,
            quiet=2,
            stripdir=str(folder),
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )


def _optional(path: Path) -> list[str]:
    return read_list(path) if path.exists() else []


def _exclude(folder: Path, globs: list[str]) -> None:
    for pattern in globs:
        for path in list(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.is_symlink() or path.exists():
                path.unlink()


def _link(folder: Path, lines: list[str], where: Path) -> None:
    for line in lines:
        name, arrow, target = (part.strip() for part in line.partition("->"))
        if not (name and arrow and target):
            raise UserError(f"{where}: {line!r} is not of the form: link -> target")
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or link.exists():
            continue  # the packages brought it
        link.symlink_to(target)
