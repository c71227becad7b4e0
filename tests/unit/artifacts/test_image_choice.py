"""Which builder makes the domU images, and what is said about it."""

from __future__ import annotations

import pytest

from orchestrator.artifacts import BuildContext, Cache
from orchestrator.artifacts.domu_image import ImageChoice, choose_builder
from orchestrator.errors import UserError


@pytest.fixture
def context(tmp_path):
    return BuildContext(Cache(tmp_path / "cache"))


def tree_at(folder, version="2025.02.14"):
    folder.mkdir(parents=True)
    (folder / "Makefile").write_text(f"# Buildroot\nexport BR2_VERSION := {version}\n")
    return folder


def chosen(context, builder, environment):
    said = []
    made = choose_builder(context, ImageChoice(builder), tell=said.append, environment=environment)
    return made, said


def test_without_a_tree_auto_is_debian_and_says_so_in_one_line(context):
    made, said = chosen(context, "auto", {})
    assert made.name == "debian"
    (line,) = said
    assert "\n" not in line
    assert "no Buildroot tree" in line
    assert "make buildroot" in line and "BUILDROOT_DIR" in line


def test_auto_takes_the_tree_that_is_named(context, tmp_path):
    folder = tree_at(tmp_path / "buildroot", "2026.02.3")
    made, (line,) = chosen(context, "auto", {"BUILDROOT_DIR": str(folder)})
    assert (made.name, made.tree.version) == ("buildroot", "2026.02.3")
    assert "Buildroot 2026.02.3" in line and "--image-builder debian" in line


def test_auto_takes_the_tree_in_the_cache(context):
    tree_at(context.cache.root / "buildroot" / "2025.02.14")
    made, _ = chosen(context, "auto", {})
    assert made.name == "buildroot"


def test_who_asks_for_debian_gets_it_and_no_tree_is_looked_for(context, tmp_path):
    made, said = chosen(context, "debian", {"BUILDROOT_DIR": str(tmp_path / "nothing")})
    assert (made.name, said) == ("debian", [])


def test_buildroot_without_a_tree_is_refused_with_what_to_do(context):
    with pytest.raises(UserError) as caught:
        chosen(context, "buildroot", {})
    assert "make buildroot" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("builder", ["auto", "buildroot"])
def test_a_folder_that_is_no_tree_is_refused(context, tmp_path, builder):
    with pytest.raises(UserError, match=r"BUILDROOT_DIR = .*no Buildroot tree"):
        chosen(context, builder, {"BUILDROOT_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("asked", "variable", "toolchain"),
    [
        (None, None, "bootlin"),
        (None, "debian", "debian"),
        ("bootlin", "debian", "bootlin"),
    ],
)
def test_the_toolchain_is_the_asked_one_or_the_machines(
    context, tmp_path, asked, variable, toolchain
):
    environment = {"BUILDROOT_DIR": str(tree_at(tmp_path / "buildroot"))}
    if variable:
        environment["BUILDROOT_TOOLCHAIN"] = variable
    choice = ImageChoice("buildroot", asked)
    made = choose_builder(context, choice, tell=print, environment=environment)
    assert made.toolchain == toolchain


def test_a_toolchain_that_is_none_is_refused(context, tmp_path):
    environment = {"BUILDROOT_DIR": str(tree_at(tmp_path / "b")), "BUILDROOT_TOOLCHAIN": "clang"}
    with pytest.raises(UserError, match="clang: no such toolchain; allowed: bootlin, debian"):
        chosen(context, "auto", environment)
