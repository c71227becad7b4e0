"""What is in an image, by Buildroot's own ``make show-info``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.artifacts.buildroot.toolchain import LIBC
from orchestrator.artifacts.packages import ImagePackage

__all__ = ["TOOLCHAIN", "target_packages"]

TOOLCHAIN = "toolchain-external-custom"
"""Buildroot's name for what brings the C library, where the compiler is Debian's."""

_DEBIAN_NAMES = {TOOLCHAIN: LIBC}


def target_packages(
    info: Mapping[str, Any], debian_versions: Mapping[str, str]
) -> list[ImagePackage]:
    """The packages of ``show-info`` that put files into the image, by name.

    Args:
        debian_versions: of the packages whose source is Debian's: ``show-info`` gives
            the version that Buildroot would have taken.
    """
    found = []
    for name, one in sorted(info.items()):
        if one["type"] != "target" or one.get("virtual") or not one.get("install_target"):
            continue
        version, source = one.get("version", ""), "buildroot"
        if name in debian_versions:
            version, source = debian_versions[name], "debian-source"
        elif one["package_dir"].startswith("/"):  # of a BR2_EXTERNAL tree
            source = "testbed"
        elif not version:
            continue  # skeletons and scripts: files of Buildroot itself
        licenses = one.get("licenses", "").replace("unknown", "")
        found.append(ImagePackage(_DEBIAN_NAMES.get(name, name), version, source, licenses))
    return found
