"""Debian arm64 package trees, unpacked but never run (``mmdebstrap --variant=extract``).

The machine's own configured sources are used, found at run time through apt; no
host name is written here. A tree is made once for a list of packages. The exact
versions that apt chose are recorded beside it (``packages.tsv``), and everything
that is built from a tree takes its contents' digest as input, so that an
artifact's key does contain the versions while a second build needs no network.
``testbed clean`` (or an empty cache) picks newer versions.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext, read_list
from orchestrator.commands import run
from orchestrator.errors import UserError

__all__ = [
    "AptSource",
    "debian_tree",
    "installed_version",
    "missing_packages",
    "parse_sources",
    "unpack",
]

_INDEX_FORMAT = "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(CODENAME)"
_LEFT_OUT = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*")


@dataclass(frozen=True, order=True)
class AptSource:
    """One configured suite of the machine."""

    suite: str
    uri: str
    components: tuple[str, ...]

    @property
    def line(self) -> str:
        """The source as ``sources.list`` has it."""
        return f"deb {self.uri} {self.suite} {' '.join(self.components)}"


def parse_sources(listing: str, codename: str) -> list[AptSource]:
    """Debian's own suites of the release ``codename`` out of ``apt-get indextargets``.

    Third parties' repositories are left out: they carry nothing that we install.
    The plain suite comes first, as mmdebstrap wants it.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for line in listing.splitlines():
        fields = line.split("|")
        if len(fields) != 6 or fields[0] != "Packages" or fields[4] != "Debian":
            continue
        if fields[5] == codename or fields[5].startswith(f"{codename}-"):
            found.setdefault((fields[2], fields[1]), set()).add(fields[3])
    return sorted(
        AptSource(suite, uri, tuple(sorted(components)))
        for (suite, uri), components in found.items()
    )


def host_sources(context: BuildContext) -> list[AptSource]:
    """The machine's configured Debian suites; ``UserError`` where apt knows none."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    listing = run(
        ["apt-get", "indextargets", "--format", _INDEX_FORMAT],
        log=context.log,
        deadline=context.deadline.within(60),
    ).stdout
    sources = parse_sources(listing, codename)
    if not any(source.suite == codename for source in sources):
        raise UserError(
            f"apt has no package lists of Debian {codename or '(unknown release)'}; "
            "run apt-get update (make setup does), then try again"
        )
    return sources


def apt_options(context: BuildContext) -> list[str]:
    """How this machine's apt reaches its sources (proxies, certificates, time checks)."""
    dump = run(
        ["apt-config", "dump", "--format", '%F "%v";%n'],
        log=context.log,
        deadline=context.deadline.within(60),
    ).stdout
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    return [line for line in dump.splitlines() if line.startswith(wanted) and ' "' in line]


def debian_tree(
    context: BuildContext, name: str, packages: Sequence[str] | None = None
) -> Artifact:
    """The packages of ``testbed/images/<name>/packages.txt`` and what they depend on.

    ``packages`` are others in their place; ``name=version`` asks for that very version.

    The artifact's folder holds ``tree.tar`` and ``packages.tsv`` (package, version,
    a line each); ``Artifact.path`` is the latter, so that the digest of the artifact
    is a digest of the versions. Raises ``UserError`` for a package apt does not know.
    """
    wanted = read_list(context.images / name / "packages.txt") if packages is None else packages
    inputs: dict[str, str | Path] = {
        "packages": " ".join(wanted),
        "release": platform.freedesktop_os_release().get("VERSION_CODENAME", ""),
        "architecture": "arm64",
        "recipe": "2",
    }
    return context.cache.get(
        f"debian-{name}",
        inputs,
        lambda folder: _extract(context, wanted, folder),
        main="packages.tsv",
        deadline=context.deadline,
    )


def _extract(context: BuildContext, packages: Sequence[str], folder: Path) -> None:
    sources = host_sources(context)
    codename = next(source.suite for source in sources)
    tar = folder / "tree.tar"
    argv: list[str | Path] = ["mmdebstrap", "--architectures=arm64", "--variant=extract"]
    argv += [f"--include={','.join(packages)}", "--format=tar", "--quiet"]
    argv += [f"--aptopt={option}" for option in apt_options(context)]
    # every .deb that is extracted, hence the list of versions; it travels inside the tree
    argv.append(
        '--extract-hook=for deb in "$1"/var/cache/apt/archives/*.deb; do '
        'dpkg-deb --show "$deb"; done | LC_ALL=C sort > "$1/packages.tsv"'
    )
    argv += [f"--dpkgopt=path-exclude=/{glob}" for glob in _LEFT_OUT]
    argv += [codename, tar, *(source.line for source in sources)]
    run(
        argv,
        env={"SOURCE_DATE_EPOCH": "0"},
        log=context.log,
        deadline=context.deadline.within(900),
    )
    versions = run(["tar", "-x", "-O", "-f", tar, "./packages.tsv"], log=context.log)
    (folder / "packages.tsv").write_text(versions.stdout)


def unpack(context: BuildContext, tree: Artifact, folder: Path) -> None:
    """Unpack a tree into ``folder``; device nodes and apt's own state are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = ["tar", "-x", "-f", tree.folder / "tree.tar", "-C", folder]
    argv += ["--no-same-owner", "--exclude=./dev/*", "--exclude=./var/cache/apt/*"]
    argv += ["--exclude=./var/lib/apt/*", "--exclude=./etc/apt/*", "--exclude=./var/lib/dpkg/*"]
    argv += [f"--exclude=./{glob}" for glob in _LEFT_OUT]
    run(argv, log=context.log, deadline=context.deadline.within(300))


def missing_packages(packages: Iterable[str]) -> list[str]:
    """Those host packages that are not installed."""
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n"],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = set(result.stdout.splitlines())
    return [package for package in packages if f"{package} installed" not in installed]


def installed_version(package: str) -> str:
    """The version of a host package; ``UserError`` when it is not installed."""
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    status, _, version = result.stdout.partition(" ")
    if status != "installed":
        raise UserError(f"the Debian package {package} is not installed; run make setup")
    return version
