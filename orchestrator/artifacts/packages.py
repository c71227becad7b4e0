"""What an image is made of: a list that lies beside it, whoever built it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.artifacts.cache import Artifact

__all__ = ["PACKAGES_FILE", "ImagePackage", "debian_packages", "packages_of", "write_packages"]

PACKAGES_FILE = "packages.json"


@dataclass(frozen=True)
class ImagePackage:
    """One package whose files are in the image."""

    name: str
    version: str
    source: str
    """Whose it is: ``debian``, or ``buildroot``; ``debian-source`` where Buildroot built
    Debian's source, ``testbed`` where it built ours."""
    licenses: str = ""
    """As its builder names them; empty where it does not."""


def debian_packages(tree: Artifact) -> list[ImagePackage]:
    """The packages of a tree of Debian's (``debian.debian_tree``)."""
    lines = (line.split("\t", 1) for line in tree.path.read_text().splitlines())
    return [ImagePackage(name, version, "debian") for name, version in lines]


def write_packages(folder: Path, packages: Sequence[ImagePackage]) -> None:
    """Write what ``packages_of`` reads."""
    text = json.dumps([asdict(one) for one in packages], indent=1)
    (folder / PACKAGES_FILE).write_text(f"{text}\n")


def packages_of(artifact: Artifact) -> list[ImagePackage]:
    """Those that an image, or a root file system, was made with."""
    text = (artifact.folder / PACKAGES_FILE).read_text()
    return [ImagePackage(**one) for one in json.loads(text)]
