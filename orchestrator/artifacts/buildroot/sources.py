"""Debian's sources in the places where Buildroot looks for its own.

For machines that reach package mirrors and not Buildroot's. ::

    site/<package>/<file>   Debian's .orig tarball, where it is the very file that Buildroot
                            wants (its hash is Buildroot's to check)
    source/<package>/       else: Debian's own source, unpacked, with Debian's patches
    override.mk             names those to Buildroot (<PACKAGE>_OVERRIDE_SRCDIR)

What is overridden is another version than Buildroot's and lacks Buildroot's patches.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext, read_list
from orchestrator.artifacts.debian import host_sources
from orchestrator.artifacts.digests import file_digest
from orchestrator.commands import run
from orchestrator.errors import UserError

__all__ = ["SourceName", "debian_sources", "override_lines", "read_source_names", "source_versions"]

HOST_TOOLS = ("autoconf", "automake", "fakeroot", "gzip", "libtool", "m4", "patchelf", "tar")
"""What Buildroot would build for the host, and takes from it instead."""

_HOST = "$(BR2_EXTERNAL_TESTBED_PATH)/debian/host"
_HASH = re.compile(r"^sha256\s+([0-9a-f]{64})\s+(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class SourceName:
    """What Debian calls a package of Buildroot's."""

    package: str
    debian: str
    autoreconf: bool


def read_source_names(path: Path) -> list[SourceName]:
    """The lines of ``debian/sources.txt``; ``UserError`` for one of another form."""
    names: list[SourceName] = []
    for line in read_list(path):
        words = line.split()
        if len(words) not in (2, 3) or words[2:] not in ([], ["autoreconf"]):
            raise UserError(f"{path}: {line!r} is not of the form: package source [autoreconf]")
        names.append(SourceName(words[0], words[1], len(words) == 3))
    return names


def override_lines(names: list[SourceName], overridden: set[str], folder: str) -> list[str]:
    """Lines of make that let the ``overridden`` packages be built from ``folder``."""
    lines: list[str] = []
    for name in names:
        if name.package not in overridden:
            continue
        variable = name.package.upper().replace("-", "_")
        lines.append(f"{variable}_OVERRIDE_SRCDIR = {folder}/{name.package}")
        if name.autoreconf:
            lines.append(f"{variable}_AUTORECONF = YES")
    return lines


def debian_sources(context: BuildContext, tree: Path, external: Path) -> Artifact:
    """Debian's sources for the Buildroot in ``tree``; ``Artifact.folder`` is the site.

    Args:
        external: the folder of our BR2_EXTERNAL tree.

    Raises ``UserError`` where apt has no lists or no such source package.
    """
    names = read_source_names(external / "debian" / "sources.txt")
    hashes = {name.package: _hashes(tree, name.package) for name in names}
    inputs: dict[str, str | Path] = {
        "sources": external / "debian" / "sources.txt",
        "hashes": json.dumps(hashes, sort_keys=True),
        "release": platform.freedesktop_os_release().get("VERSION_CODENAME", ""),
        "code": Path(__file__),
    }

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            downloads = _download(context, names, Path(scratch))
            overridden = _lay_out(context, names, hashes, downloads, folder)
        lines = override_lines(names, overridden, "$(TESTBED_DEBIAN_SITE)/source")
        lines += [f"HOST_{tool.upper()}_OVERRIDE_SRCDIR = {_HOST}" for tool in HOST_TOOLS]
        (folder / "override.mk").write_text("".join(f"{line}\n" for line in lines))

    return context.cache.get(
        "buildroot-sources", inputs, build, main="versions.tsv", deadline=context.deadline
    )


def source_versions(sources: Artifact) -> dict[str, str]:
    """The version of each of Debian's sources, by Buildroot's name of the package."""
    lines = (line.split("\t") for line in sources.path.read_text().splitlines())
    return {words[0]: words[2] for words in lines}


def _hashes(tree: Path, package: str) -> dict[str, str]:
    """SHA-256 of what Buildroot downloads for a package, by file name."""
    path = tree / "package" / package / f"{package}.hash"
    text = path.read_text() if path.exists() else ""
    return {name: digest for digest, name in _HASH.findall(text)}


def _download(context: BuildContext, names: list[SourceName], scratch: Path) -> Path:
    """Fetch the source packages into a folder that is returned."""
    lists, downloads = scratch / "lists", scratch / "downloads"
    (lists / "partial").mkdir(parents=True)
    downloads.mkdir()
    listing = scratch / "sources.list"
    listing.write_text(
        "".join(f"{one.line.replace('deb ', 'deb-src ', 1)}\n" for one in host_sources(context))
    )
    apt: list[str | Path] = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={listing}"]
    apt += ["-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={lists}"]
    deadline = context.deadline.within(900)
    run([*apt, "update"], log=context.log, deadline=deadline)
    wanted = [name.debian for name in names]
    argv = [*apt, "-o", "APT::Sandbox::User=root", "source", "--download-only", *wanted]
    run(argv, cwd=downloads, log=context.log, deadline=deadline)
    return downloads


def _lay_out(
    context: BuildContext,
    names: list[SourceName],
    hashes: Mapping[str, Mapping[str, str]],
    downloads: Path,
    folder: Path,
) -> set[str]:
    """Fill ``site`` and ``source``; the packages that have to be overridden are returned."""
    overridden: set[str] = set()
    versions: list[str] = []
    for name in names:
        (description,) = downloads.glob(f"{name.debian}_*.dsc")
        version = description.stem.removeprefix(f"{name.debian}_")
        wanted = {digest: file for file, digest in hashes[name.package].items()}
        same = [
            one
            for one in sorted(downloads.glob(f"{name.debian}_*.orig.tar.*"))
            if file_digest(one) in wanted
        ]
        if same:
            place = folder / "site" / name.package
            place.mkdir(parents=True)
            shutil.copy(same[0], place / wanted[file_digest(same[0])])
        else:
            overridden.add(name.package)
            target = folder / "source" / name.package
            target.parent.mkdir(exist_ok=True)
            argv: list[str | Path] = ["dpkg-source", "--no-check", "-x", description, target]
            run(argv, log=context.log, deadline=context.deadline.within(120))
        how = "as Debian has it" if name.package in overridden else "as Buildroot wants it"
        versions.append(f"{name.package}\t{name.debian}\t{version}\t{how}\n")
    (folder / "versions.tsv").write_text("".join(versions))
    return overridden
