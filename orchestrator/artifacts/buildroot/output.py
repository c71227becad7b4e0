"""One Buildroot output folder, kept in the cache so that a second build is a short one.

::

    <cache>/buildroot-output/<defconfig>-<toolchain>-<checkout>/
        defconfig                       what it is configured by
        key                             what all of it was built from: another one, and it is
                                        begun anew
        locals.json                     digests of our own packages' sources, as they were built
        show-info.json                  what Buildroot says of its packages
        build/, host/, images/, ...     Buildroot's

Whatever configures packages or compiler is part of the key. The rest is brought up to date:
``target/`` is laid anew each time from what the packages installed (Buildroot itself never
takes anything away from it), and a package of ours whose source changed is built again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestrator import preflight
from orchestrator.artifacts.buildroot.setup import BuildrootSetup
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.digests import text_digest
from orchestrator.artifacts.ext4 import EPOCH
from orchestrator.commands import CommandFailed, Log, package_of, run
from orchestrator.errors import InfrastructureError, UserError

__all__ = ["BuildrootOutput", "opened_output"]

_SECONDS = 3600.0
_NEEDED = ("bzip2", "cpio", "file", "make", "patch", "perl", "rsync", "unzip", "wget")
"""What Buildroot starts from, beside compilers (its manual, "System requirements")."""
_LOST_DOWNLOAD = re.compile(r"/build/([^/\s]+)/\.stamp_downloaded\] Error")
_LOCAL_SITE = re.compile(r"^[A-Z0-9_]+_SITE = \$\(BR2_EXTERNAL_TESTBED_PATH\)/(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class BuildrootOutput:
    """A configured output folder, held by this process alone."""

    folder: Path
    setup: BuildrootSetup
    context: BuildContext

    @property
    def images(self) -> Path:
        """Where Buildroot puts what it makes."""
        return self.folder / "images"

    def make(self, *targets: str, on_line: Log | None = None) -> str:
        """``make`` in the output folder; what it printed is returned.

        Raises:
            InfrastructureError: it failed (``CommandFailed``), or could not download.
        """
        argv: list[str | Path] = ["make", "-C", self.folder, *self.setup.variables, *targets]
        try:
            done = run(
                argv,
                env=self._environment(),
                log=self.context.log,
                deadline=self.context.deadline.within(_SECONDS),
                on_line=on_line,
            )
        except CommandFailed as error:
            lost = _LOST_DOWNLOAD.search(error.tail)
            if lost is None:
                raise
            raise InfrastructureError(
                f"Buildroot could not download {lost[1]}; where only Debian's packages can be "
                "had, --buildroot-toolchain debian (or BUILDROOT_TOOLCHAIN=debian) does without, "
                "as does --image-builder debian"
            ) from error
        return done.stdout

    def build(self, *, on_line: Log | None = None) -> None:
        """Bring everything up to date, the images at last; errors as ``make`` has them."""
        self._rebuild_changed()
        self._lay_target_anew()
        self.make(on_line=on_line)

    def show_info(self) -> dict[str, Any]:
        """What ``make show-info`` says, which follows from the configuration alone."""
        note = self.folder / "show-info.json"
        if not note.exists():
            text = self.make("-s", "--no-print-directory", "show-info")
            note.write_text(json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n")
        info: dict[str, Any] = json.loads(note.read_text())
        return info

    def _environment(self) -> dict[str, str]:
        environment = dict(self.setup.environment)
        # this make is not part of one that happens to run us (make test)
        environment |= {"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "0", "LD_LIBRARY_PATH": ""}
        environment["SOURCE_DATE_EPOCH"] = str(EPOCH)
        environment["BR2_DL_DIR"] = str(self.context.cache.root / "buildroot-dl")
        environment["TESTBED_AUTHORIZED_KEYS"] = ""
        if os.geteuid() == 0:
            environment["FORCE_UNSAFE_CONFIGURE"] = "1"  # host-tar, as in any container
        return environment

    def configure(self) -> None:
        """Make the folder ready for its setup: as it is, if it was made for the same one."""
        defconfig, note = self.folder / "defconfig", self.folder / "key"
        key = self._key()
        if note.exists() and note.read_text() == key:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        defconfig.write_text(self.setup.configuration)
        argv: list[str | Path] = ["make", "-C", self.setup.tree.path, f"O={self.folder}"]
        argv += [f"BR2_EXTERNAL={self.setup.external}", f"BR2_DEFCONFIG={defconfig}", "defconfig"]
        deadline = self.context.deadline.within(300)
        run(argv, env=self._environment(), log=self.context.log, deadline=deadline)
        note.write_text(key)

    def _key(self) -> str:
        """What a change of needs everything built again."""
        recipes = [
            f"{path.relative_to(self.setup.external)} {self.context.cache.digest_of(path)}"
            for path in sorted(self.setup.external.rglob("*"))
            if path.suffix == ".mk" or path.name == "Config.in"
        ]
        # Buildroot keeps both paths in what it makes
        places = [str(self.setup.tree.path), str(self.setup.external)]
        parts = [dict(self.setup.inputs), recipes, places]
        return text_digest(json.dumps(parts, sort_keys=True))

    def _lay_target_anew(self) -> None:
        shutil.rmtree(self.folder / "target", ignore_errors=True)
        for stamp in self.folder.glob("build/*/.stamp_target_installed"):
            stamp.unlink()

    def _rebuild_changed(self) -> None:
        note = self.folder / "locals.json"
        before = json.loads(note.read_text()) if note.exists() else {}
        now = {
            name: self.context.cache.digest_of(source)
            for name, source in local_packages(self.setup.external).items()
        }
        for name in sorted(before.keys() & now.keys()):
            if before[name] != now[name]:
                self.make(f"{name}-dirclean")
        note.write_text(json.dumps(now, indent=2, sort_keys=True))


def local_packages(external: Path) -> dict[str, Path]:
    """The packages of ours whose source lies in the checkout, by name."""
    found = {}
    for file in sorted(external.glob("package/*/*.mk")):
        site = _LOCAL_SITE.search(file.read_text())
        if site:
            found[file.stem] = (external / site[1]).resolve()
    return found


@contextmanager
def opened_output(
    context: BuildContext, setup: BuildrootSetup, name: str
) -> Iterator[BuildrootOutput]:
    """The output folder ``name`` of this checkout, configured; nobody else has it meanwhile.

    Raises:
        UserError: a program that Buildroot needs is not installed.
        InfrastructureError: it cannot be configured, or another build holds it too long.
    """
    _check_programs()
    checkout = text_digest(str(context.root))[:12]
    folder = context.cache.root / "buildroot-output" / f"{name}-{checkout}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=context.deadline.remaining):
            output = BuildrootOutput(folder, setup, context)
            output.configure()
            yield output
    except Timeout as error:
        raise InfrastructureError(
            f"{folder}: another build in it did not end in time; see what still runs, "
            "then try again"
        ) from error


def _check_programs() -> None:
    missing = preflight.missing_programs(_NEEDED)
    if missing:
        raise UserError(
            f"Buildroot needs {', '.join(missing)}: apt-get install "
            f"{' '.join(sorted({package_of(name) for name in missing}))}, or build the domU "
            "images of Debian packages: --image-builder debian"
        )
