"""What is in an image, by Buildroot's own ``make show-info``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.artifacts.cache import Artifact

__all__ = ["PACKAGES_FILE", "ImagePackage", "packages_json", "packages_of", "target_packages"]

PACKAGES_FILE = "packages.json"


@dataclass(frozen=True)
class ImagePackage:
    """One package whose files are in the image."""

    name: str
    version: str
    licenses: str
    source: str
    """Where its source was from: ``buildroot``, ``debian`` or ``testbed``."""


def target_packages(
    info: Mapping[str, Any], debian_versions: Mapping[str, str]
) -> list[ImagePackage]:
    """The packages of ``show-info`` that put files into the image, by name.

    Args:
        debian_versions: of the packages whose source is Debian's; Buildroot calls those
            versions ``custom``.
    """
    found = []
    for name, one in sorted(info.items()):
        if one["type"] != "target" or one.get("virtual") or not one.get("install_target"):
            continue
        version = one.get("version", "")
        source = "buildroot" if one.get("downloads") else "testbed"
        if name in debian_versions:
            version, source = debian_versions[name], "debian"
        elif not version:
            continue  # skeletons and the like: files of Buildroot itself
        found.append(ImagePackage(name, version, one.get("licenses", ""), source))
    return found


def packages_of(rootfs: Artifact) -> list[ImagePackage]:
    """Those that a root file system was made with."""
    return [ImagePackage(**one) for one in json.loads((rootfs.folder / PACKAGES_FILE).read_text())]


def packages_json(packages: list[ImagePackage]) -> str:
    """What ``packages_of`` reads."""
    return json.dumps([asdict(one) for one in packages], indent=1) + "\n"
