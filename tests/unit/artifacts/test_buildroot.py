"""The parts of the Buildroot builder that need no Buildroot."""

from __future__ import annotations

import os
import subprocess

import pytest

from orchestrator.artifacts import BuildContext, Cache
from orchestrator.artifacts.buildroot import tree as trees
from orchestrator.artifacts.buildroot.output import BuildrootOutput, local_packages
from orchestrator.artifacts.buildroot.setup import BuildrootSetup, external_tree
from orchestrator.artifacts.buildroot.show_info import target_packages
from orchestrator.artifacts.buildroot.sources import SourceName, override_lines, read_source_names
from orchestrator.artifacts.buildroot.toolchain import relocate
from orchestrator.artifacts.context import read_list
from orchestrator.artifacts.kernel_variant import load_variant
from orchestrator.artifacts.packages import ImagePackage
from orchestrator.commands import CommandFailed
from orchestrator.errors import InfrastructureError, UserError


@pytest.fixture
def context(tmp_path):
    return BuildContext(Cache(tmp_path / "cache"))


def git(folder, *words):
    argv = ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def upstream(tmp_path):
    """A repository with a tag of the pinned release's name, and its commit."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "Makefile").write_text(f"export BR2_VERSION := {trees.RELEASE}\n")
    git(folder, "add", "Makefile")
    git(folder, "commit", "-qm", "release")
    git(folder, "tag", trees.RELEASE)
    return folder, git(folder, "rev-parse", "HEAD")


def test_the_pinned_commit_is_kept_and_found(context, upstream, monkeypatch):
    folder, commit = upstream
    monkeypatch.setattr(trees, "COMMIT", commit)
    made = trees.fetch_tree(context, {"BUILDROOT_URL": folder.as_uri()})
    assert made.version == trees.RELEASE
    assert trees.find_tree(context.cache, {}) == made
    # what is there is not cloned again
    assert trees.fetch_tree(context, {"BUILDROOT_URL": "file:///nonexistent"}) == made


def test_another_commit_under_the_same_tag_is_refused(context, upstream):
    folder, commit = upstream
    with pytest.raises(UserError, match=f"{commit}, and only {trees.COMMIT}"):
        trees.fetch_tree(context, {"BUILDROOT_URL": folder.as_uri()})
    assert trees.find_tree(context.cache, {}) is None
    assert [one.name for one in (context.cache.root / "buildroot").iterdir() if one.is_dir()] == []


def test_a_repository_that_is_not_there_leaves_nothing(context, tmp_path):
    with pytest.raises(InfrastructureError):
        trees.fetch_tree(context, {"BUILDROOT_URL": (tmp_path / "none").as_uri()})
    assert trees.find_tree(context.cache, {}) is None


def test_a_trees_digest_follows_its_files_and_not_its_output(context, upstream):
    folder, _ = upstream
    tree = trees.BuildrootTree(folder, trees.RELEASE)
    first = trees.content_digest(context.cache, tree)
    (folder / "output").mkdir()
    (folder / "output" / "x").write_text("built")
    assert trees.content_digest(context.cache, tree) == first
    (folder / "package").mkdir()
    (folder / "package" / "x.mk").write_text("X = 1\n")
    assert trees.content_digest(context.cache, tree) != first


@pytest.fixture
def usr(tmp_path):
    """A cross compiler as Debian lays it out, of files that say what they are."""
    usr = tmp_path / "usr"
    for name in ("gcc-12", "cpp-12", "as", "ld", "ld.bfd", "ar"):
        path = usr / "bin" / f"aarch64-linux-gnu-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            '#!/bin/sh\n[ "$1" = -v ] && echo "x --with-sysroot=/ y" >&2 || echo "$@"\n'
        )
        path.chmod(0o755)
    for name in ("cc1", "libgcc.a", "libasan.a", "libgomp.spec"):
        path = usr / "lib/gcc-cross/aarch64-linux-gnu/12" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    libc = usr / "aarch64-linux-gnu"
    (libc / "lib").mkdir(parents=True)
    (libc / "include").mkdir()
    (libc / "include/stdio.h").write_text("")
    (libc / "lib/libc.so.6").write_bytes(b"\x7fELF")
    (libc / "lib/libm.so.6").write_bytes(b"\x7fELF")
    (libc / "lib/libm.so").symlink_to("libm.so.6")
    (libc / "lib/libc.so").write_text("/* script */ GROUP ( /usr/aarch64-linux-gnu/lib/libc.so.6 )")
    (libc / "lib/libstdc++.so.6").write_bytes(b"\x7fELF")
    return usr


def test_the_relocated_compiler_says_its_sysroot_and_passes_it(usr, tmp_path):
    relocate(usr, tmp_path / "copy")
    compiler = tmp_path / "copy/bin/aarch64-linux-gnu-gcc"
    said = subprocess.run([compiler, "-v"], capture_output=True, text=True, check=True).stderr
    assert "--with-sysroot=/ " not in said
    sysroot = said.split("--with-sysroot=")[1].split()[0]
    assert sorted(path.name for path in (tmp_path / sysroot).iterdir()) == ["lib", "usr"]
    passed = subprocess.run([compiler, "-c", "x.c"], capture_output=True, text=True, check=True)
    assert passed.stdout.split() == [f"--sysroot={sysroot}", "-c", "x.c"]


def test_the_relocated_sysroot_is_flat_and_names_no_absolute_path(usr, tmp_path):
    relocate(usr, tmp_path / "copy")
    sysroot = tmp_path / "copy/sysroot"
    assert (sysroot / "usr/lib/libc.so").read_text() == "/* script */ GROUP ( libc.so.6 )"
    assert (sysroot / "usr/lib/libm.so").resolve() == (sysroot / "lib/libm.so.6").resolve()
    assert (sysroot / "usr/include/stdio.h").exists()
    names = {path.name for path in (tmp_path / "copy").rglob("*")}
    assert {"cc1", "libgcc.a"} <= names
    assert not {"libasan.a", "libgomp.spec", "libstdc++.so.6"} & names


def test_no_compiler_is_an_error(tmp_path):
    with pytest.raises(InfrastructureError, match="no aarch64-linux-gnu-gcc-12"):
        relocate(tmp_path, tmp_path / "copy")


def test_what_is_overridden_is_built_from_debians_source():
    names = [SourceName("lib-x", "libx", True), SourceName("same", "same", False)]
    assert override_lines(names, {"lib-x"}, "/src") == [
        "LIB_X_OVERRIDE_SRCDIR = /src/lib-x",
        "LIB_X_AUTORECONF = YES",
    ]


def test_a_bad_line_of_the_list_of_sources_is_named(tmp_path):
    (tmp_path / "sources.txt").write_text("busybox busybox autorecon\n")
    with pytest.raises(UserError, match="'busybox busybox autorecon'"):
        read_source_names(tmp_path / "sources.txt")


def test_packages_in_the_image_are_those_installed_to_the_target():
    info = {
        "busybox": {"type": "target", "virtual": False, "install_target": True,
                    "package_dir": "package/busybox",
                    "version": "1.37.0", "licenses": "GPL-2.0", "downloads": [{}]},
        "host-m4": {"type": "host", "virtual": False, "version": "1.4"},
        "toolchain": {"type": "target", "virtual": True},
        "toolchain-external-custom": {"type": "target", "virtual": False, "install_target": True,
                                      "version": "", "licenses": "unknown"},
        "skeleton": {"type": "target", "virtual": False, "install_target": True, "version": "",
                     "package_dir": "package/skeleton"},
        "testbed-memwatch": {"type": "target", "virtual": False, "install_target": True,
                             "version": "", "package_dir": "/checkout/package", "licenses": "MIT"},
        "dropbear": {"type": "target", "virtual": False, "install_target": True,
                     "version": "2025.89", "licenses": "MIT", "downloads": []},
        "tar": {"type": "rootfs"},
    }  # fmt: skip
    versions = {"dropbear": "2022.83-1", "toolchain-external-custom": "2.36-8"}
    assert target_packages(info, versions) == [
        ImagePackage("busybox", "1.37.0", "buildroot", "GPL-2.0"),
        ImagePackage("dropbear", "2022.83-1", "debian-source", "MIT"),
        ImagePackage("testbed-memwatch", "", "testbed", "MIT"),
        ImagePackage("libc6-dev-arm64-cross", "2.36-8", "debian-source", ""),
    ]


def test_buildroots_kernel_takes_the_fragments_of_ours(context):
    text = (external_tree(context) / "configs/testbed_domu_defconfig").read_text()
    (line,) = [
        one for one in text.splitlines() if "CONFIG_FRAGMENT_FILES" in one and "LINUX" in one
    ]
    named = [one.rsplit("/", 1)[1] for one in line.split("=")[1].strip('"').split()]
    assert named == [one.name for one in load_variant(context.patches, "pageshare").fragments]


def test_local_packages_lie_in_the_checkout(context):
    found = local_packages(external_tree(context))
    assert set(found) == {"testbed-memwatch", "testbed-pagegen"}
    for source in found.values():
        assert list(source.glob("*.c"))


@pytest.mark.parametrize("given", [True, False])
def test_the_post_build_script_makes_mount_points_and_lets_in_whom_it_is_told(
    context, tmp_path, given
):
    target, key = tmp_path / "target", tmp_path / "id.pub"
    (target / "etc/init.d").mkdir(parents=True)
    key.write_text("ssh-ed25519 AAAA me\n")
    script = external_tree(context) / "board/testbed/domu/post-build.sh"
    environment = {"PATH": os.defpath, "TESTBED_AUTHORIZED_KEYS": str(key) if given else ""}
    subprocess.run([script, target], check=True, env=environment)
    for folder in read_list(context.images / "domu/folders.txt"):
        assert (target / folder).is_dir(), folder
    assert not (target / "etc/init.d").exists()
    authorized = target / "root/.ssh/authorized_keys"
    assert authorized.exists() == given
    if given:
        assert authorized.read_text() == key.read_text()
        assert authorized.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def output(context, tmp_path):
    """An output folder that a Makefile of the test is put into."""
    tree = trees.BuildrootTree(tmp_path / "tree", trees.RELEASE)
    setup = BuildrootSetup(tree, external_tree(context), "BR2_x=y\n", {}, (), {}, {})
    folder = tmp_path / "output"
    folder.mkdir()
    return BuildrootOutput(folder, setup, context)


def test_a_download_that_fails_says_what_to_do_about_it(output):
    stamp = output.folder / "build/host-tar-1.35/.stamp_downloaded"
    (output.folder / "Makefile").write_text(f"all: {stamp}\n{stamp}:\n\t@false\n")
    with pytest.raises(InfrastructureError) as caught:
        output.make()
    assert "could not download host-tar-1.35" in str(caught.value)
    assert "--buildroot-toolchain debian" in str(caught.value)


def test_another_failure_shows_what_make_said(output):
    (output.folder / "Makefile").write_text("all:\n\t@echo 'no rule for this' >&2; false\n")
    with pytest.raises(CommandFailed, match="no rule for this"):
        output.make()


def test_target_is_laid_anew_and_everything_else_is_kept(output):
    for name in ("target/etc/old", "build/busybox-1/.stamp_target_installed",
                 "build/busybox-1/.stamp_built", "host/bin/gcc"):  # fmt: skip
        path = output.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (output.folder / "Makefile").write_text("all:\n")
    output.build()
    left = {path.name for path in output.folder.rglob("*") if path.is_file()}
    assert left == {"Makefile", "locals.json", ".stamp_built", "gcc"}
