"""The workload disk: a kernel tree, configured and prepared, that a guest compiles at once.

The tree is Debian's source, unpatched and trimmed (``exclude.txt``), with arm64's
``tinyconfig``. It is prepared on the host, natively; then its host tools are made
arm64 programs (``host_tools``), and every file gets the same modification time, so
that in the guest nothing is newer than what was made from it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext, read_list
from orchestrator.artifacts.debian import installed_version
from orchestrator.artifacts.ext4 import make_ext4, set_times
from orchestrator.artifacts.host_tools import rebuild_host_tools
from orchestrator.artifacts.kernel_source import source_tarball
from orchestrator.artifacts.toolchain import build_toolchain
from orchestrator.commands import run
from orchestrator.errors import UserError

__all__ = ["GUEST_TREE", "build_workload", "check_objects", "make_arguments", "object_list"]

GUEST_TREE = "/work/linux"
"""Where the tree lies in the guest, seen from inside the toolchain's chroot."""

_OBJECTS = "objects.txt"

_COMPILER_PACKAGES = ("gcc-12-aarch64-linux-gnu", "libc6-dev-arm64-cross")


def make_arguments(context: BuildContext) -> list[str]:
    """The variables that every ``make`` of the tree is given, on the host and in the guest."""
    return read_list(context.images / "workload" / "make-arguments.txt")


def object_list(context: BuildContext) -> list[str]:
    """The kernel objects of the ``kernel-compile`` workload, relative to the tree."""
    return read_list(context.images / "workload" / "objects.txt")


def check_objects(workload: Artifact, names: Iterable[str], where: str) -> None:
    """``UserError`` for an object that the workload's tree has no source of.

    ``where`` is the file that names the objects; it goes into the message.
    """
    known = set((workload.folder / _OBJECTS).read_text().split())
    for name in names:
        if name not in known:
            raise UserError(
                f"{where}: {name}: the workload's kernel tree has no such object; "
                "allowed is FOLDER/NAME.o where FOLDER/NAME.c is on the workload disk"
            )


def build_workload(context: BuildContext) -> Artifact:
    """The read-only ext4 disk (``Artifact.path``); the tree is its folder ``linux``."""
    tarball, version = source_tarball()
    toolchain = build_toolchain(context)
    compiler = (toolchain.folder / "compiler.txt").read_text().strip()
    data = context.images / "workload"
    inputs: dict[str, str | Path] = {
        "source": tarball,
        "version": version,
        "exclude": data / "exclude.txt",
        "arguments": data / "make-arguments.txt",
        "compiler": compiler,
        "recipe": "3",
    }
    for package in _COMPILER_PACKAGES:
        inputs[package] = installed_version(package)

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = Path(scratch)
            root.chmod(0o755)
            _unpack(context, tarball, root / "linux")
            _prepare(context, root / "linux", compiler)
            tools = rebuild_host_tools(
                root / "linux", log=context.log, deadline=context.deadline.within(300)
            )
            (folder / "host-tools.txt").write_text("".join(f"{tool}\n" for tool in tools))
            (folder / _OBJECTS).write_text(
                "".join(f"{name}\n" for name in _objects(root / "linux"))
            )
            _relocate(root / "linux")
            set_times(root)
            make_ext4(
                folder / "workload.ext4",
                root,
                label="workload",
                log=context.log,
                deadline=context.deadline.within(300),
            )

    return context.cache.get(
        "workload", inputs, build, main="workload.ext4", deadline=context.deadline
    )


def _unpack(context: BuildContext, tarball: Path, tree: Path) -> None:
    tree.mkdir()
    patterns = read_list(context.images / "workload" / "exclude.txt")
    argv: list[str | Path] = ["tar", "-x", "-f", tarball, "-C", tree, "--no-same-owner"]
    argv += ["--strip-components=1", "--wildcards"]
    argv += [f"--exclude={pattern}" for pattern in patterns]
    run(argv, log=context.log, deadline=context.deadline.within(300))


def _prepare(context: BuildContext, tree: Path, compiler: str) -> None:
    make = ["make", "-s", *make_arguments(context), f"CC_VERSION_TEXT={compiler}"]
    jobs = f"-j{os.cpu_count() or 1}"
    deadline = context.deadline.within(600)
    for targets in (["tinyconfig"], [jobs, "prepare", "scripts"]):
        run([*make, *targets], cwd=tree, log=context.log, deadline=deadline)


def _objects(tree: Path) -> list[str]:
    """What ``make`` could be asked for: an object for every C or assembler source."""
    return sorted(
        path.relative_to(tree).with_suffix(".o").as_posix()
        for path in tree.rglob("*.[cS]")
        if path.relative_to(tree).parts[0] not in {"scripts", "tools", "usr"}
    )


def _relocate(tree: Path) -> None:
    """Write the guest's path where Kbuild's records name this tree by an absolute one.

    Otherwise the guest finds a prerequisite missing and makes the vDSO, and with it
    the headers that everything includes, again.
    """
    for record in tree.rglob(".*.cmd"):
        text = record.read_text()
        if str(tree) in text:
            record.write_text(text.replace(str(tree), GUEST_TREE))
