"""``[domu.image]`` and what a command line makes of it."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment import DomuImage, load_experiment, shipped_or_given


def written(tmp_path, table):
    shipped = shipped_or_given("figure2").read_text()
    file = tmp_path / "own.toml"
    file.write_text(f"{shipped}\n[domu.image]\n{table}\n")
    return load_experiment(file)


def test_left_out_it_is_auto():
    image = load_experiment(shipped_or_given("figure2")).domu.image
    assert (image.builder, image.toolchain) == ("auto", None)


def test_it_is_read(tmp_path):
    image = written(tmp_path, 'builder = "buildroot"\ntoolchain = "debian"').domu.image
    assert image == DomuImage(builder="buildroot", toolchain="debian")


def test_a_wrong_builder_is_named_with_what_is_allowed(tmp_path):
    with pytest.raises(UserError) as caught:
        written(tmp_path, 'builder = "yocto"')
    assert "domu.image.builder = 'yocto'" in str(caught.value)
    assert "'auto', 'buildroot', 'debian'" in str(caught.value)


def test_the_command_line_wins_where_it_says_something():
    image = DomuImage(builder="debian", toolchain="debian")
    assert image.as_asked(None, None) == image
    assert image.as_asked("buildroot", None) == DomuImage(builder="buildroot", toolchain="debian")


@pytest.mark.parametrize(
    ("builder", "toolchain", "said"),
    [("yocto", None, "--image-builder yocto"), (None, "clang", "--buildroot-toolchain clang")],
)
def test_a_wrong_word_on_the_command_line_is_refused(builder, toolchain, said):
    with pytest.raises(UserError, match=said):
        DomuImage().as_asked(builder, toolchain)
