"""``testbed build --sbom``: what is in the images, as CycloneDX documents.

::

    artifacts.json          kind, key and digest of everything that was built
    <image>.cdx.json        an image's packages: name, version, licence where it is known
    buildroot/              where Buildroot made the domUs' image: its own show-info.json, and
                            legal-info/, or Debian's copyright/ where the sources are Debian's
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.artifacts.build import Artifacts
from orchestrator.artifacts.buildroot import write_legal_info
from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree
from orchestrator.artifacts.domu_image import BuildrootDomuImage, DomuImageBuilder
from orchestrator.artifacts.packages import ImagePackage, debian_packages, packages_of

__all__ = ["cyclonedx", "write_sbom"]

_DEBIAN_TREES = {"dom0_image": "dom0", "toolchain": "toolchain", "xen": "xen"}


def write_sbom(
    context: BuildContext, artifacts: Artifacts, builder: DomuImageBuilder, folder: Path
) -> list[Path]:
    """Write the documents to ``folder`` in place of earlier ones; their paths are returned.

    Raises:
        InfrastructureError: Buildroot's legal-info failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = [folder / "artifacts.json"]
    written[0].write_text(_text(artifacts.describe()))
    packages = {
        name: debian_packages(debian_tree(context, tree)) for name, tree in _DEBIAN_TREES.items()
    }
    packages["domu_image"] = packages_of(artifacts.domu_image)
    for name, inside in sorted(packages.items()):
        path = folder / f"{name}.cdx.json"
        path.write_text(_text(cyclonedx(name, artifacts.all[name], inside)))
        written.append(path)
    if isinstance(builder, BuildrootDomuImage):
        written += write_legal_info(context, builder.tree, builder.toolchain, folder / "buildroot")
    return written


def cyclonedx(name: str, artifact: Artifact, packages: Sequence[ImagePackage]) -> dict[str, Any]:
    """A CycloneDX 1.5 document of an image; the same image gives the same document."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "file",
                "name": name,
                "version": artifact.key,
                "hashes": [{"alg": "SHA-256", "content": artifact.digest}],
            }
        },
        "components": [_component(one) for one in packages],
    }


def _component(package: ImagePackage) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
    }
    if package.licenses:
        component["licenses"] = [{"license": {"name": package.licenses}}]
    return component


def _purl(package: ImagePackage) -> str:
    version = package.version.replace(":", "%3A").replace("+", "%2B").replace("~", "%7E")
    if package.source == "debian":
        return f"pkg:deb/debian/{package.name}@{version}?arch=arm64"
    if package.source == "debian-source":
        return f"pkg:deb/debian/{package.name}@{version}?arch=source"
    return f"pkg:generic/{package.name}@{version}"


def _text(document: object) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
