"""What is in an image, as a CycloneDX document."""

from __future__ import annotations

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.packages import (
    ImagePackage,
    debian_packages,
    packages_of,
    write_packages,
)
from orchestrator.artifacts.sbom import cyclonedx


def artifact(folder, path):
    return Artifact("domu-image", "k" * 64, path, "d" * 64, {}, folder, 1.0)


def test_a_list_that_was_written_is_read_again(tmp_path):
    packages = [ImagePackage("busybox", "1.37.0", "buildroot", "GPL-2.0")]
    write_packages(tmp_path, packages)
    assert packages_of(artifact(tmp_path, tmp_path)) == packages


def test_debians_packages_are_those_of_the_tree(tmp_path):
    (tmp_path / "packages.tsv").write_text("busybox-static\t1:1.35.0-4\nlibc6\t2.36-9\n")
    assert debian_packages(artifact(tmp_path, tmp_path / "packages.tsv")) == [
        ImagePackage("busybox-static", "1:1.35.0-4", "debian"),
        ImagePackage("libc6", "2.36-9", "debian"),
    ]


def test_a_document_names_the_image_and_each_package_by_its_url(tmp_path):
    packages = [
        ImagePackage("libc6", "1:2.36-9+deb12u1", "debian"),
        ImagePackage("dropbear", "2022.83-1~a", "debian-source", "MIT"),
        ImagePackage("busybox", "1.37.0", "buildroot", "GPL-2.0"),
    ]
    document = cyclonedx("domu_image", artifact(tmp_path, tmp_path), packages)
    assert document["metadata"]["component"]["hashes"][0]["content"] == "d" * 64
    assert [one["purl"] for one in document["components"]] == [
        "pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u1?arch=arm64",
        "pkg:deb/debian/dropbear@2022.83-1%7Ea?arch=source",
        "pkg:generic/busybox@1.37.0",
    ]
    assert "licenses" not in document["components"][0]
    assert document["components"][2]["licenses"] == [{"license": {"name": "GPL-2.0"}}]
