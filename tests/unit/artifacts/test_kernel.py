from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.digests import tree_digest
from orchestrator.artifacts.kernel import dropped_symbols, load_variant, parse_config
from orchestrator.artifacts.kernel_source import apply_series, require_frontswap, series
from orchestrator.errors import UserError

GOOD = """\
--- a/mm/frontswap.c
+++ b/mm/frontswap.c
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
"""

BAD_SECOND_HUNK = """\
--- a/mm/frontswap.c
+++ b/mm/frontswap.c
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
@@ -20,3 +20,3 @@
 twenty
-not there
+never
 twenty-two
"""

MISSING_FILE = """\
--- a/mm/gone.c
+++ b/mm/gone.c
@@ -1 +1 @@
-one
+ONE
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "linux"
    (tree / "mm").mkdir(parents=True)
    (tree / "mm/frontswap.c").write_text("one\ntwo\nthree\n")
    (tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 6\nSUBLEVEL = 12\nNAME = x\n")
    return tree


def patch(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_series_applies_in_order(tree: Path, tmp_path: Path) -> None:
    patch(tmp_path, "0002-back.patch", GOOD.replace("-two\n+TWO", "-TWO\n+2"))
    patch(tmp_path, "0001-up.patch", GOOD)
    patch(tmp_path, "notes.patch", "no part of the series")
    apply_series(tree, series(tmp_path))
    assert (tree / "mm/frontswap.c").read_text() == "one\n2\nthree\n"


def test_a_bad_patch_is_named_with_file_and_hunk(tree: Path, tmp_path: Path) -> None:
    bad = patch(tmp_path, "0001-bad.patch", BAD_SECOND_HUNK)
    with pytest.raises(UserError, match=r"^0001-bad\.patch: mm/frontswap\.c hunk #2 .*line 20"):
        apply_series(tree, [bad])


def test_a_patch_to_a_missing_file_is_named(tree: Path, tmp_path: Path) -> None:
    bad = patch(tmp_path, "0001-gone.patch", MISSING_FILE)
    with pytest.raises(UserError, match=r"0001-gone\.patch: hunk #1 of mm/gone\.c"):
        apply_series(tree, [bad])


def test_an_applied_patch_is_not_taken_back(tree: Path, tmp_path: Path) -> None:
    good = patch(tmp_path, "0001-good.patch", GOOD)
    apply_series(tree, [good])
    before = tree_digest(tree)
    with pytest.raises(UserError, match="0001-good"):
        apply_series(tree, [good])
    assert tree_digest(tree) == before


def test_a_source_without_frontswap_says_its_version_and_why(tree: Path) -> None:
    require_frontswap(tree)
    (tree / "mm/frontswap.c").unlink()
    with pytest.raises(UserError, match=r"Linux 6\.6\.12 has no frontswap.*use Linux 6\.1"):
        require_frontswap(tree)


def test_dropped_symbols() -> None:
    wanted = parse_config(["CONFIG_A=y", "CONFIG_B=m", "# CONFIG_C is not set", "# a comment", ""])
    final = parse_config(["CONFIG_A=y", "CONFIG_B=y", 'CONFIG_NAME="x"'])
    assert wanted == {"CONFIG_A": "y", "CONFIG_B": "m", "CONFIG_C": "n"}
    assert dropped_symbols(wanted, final) == ["CONFIG_B=m (got y)"]
    assert dropped_symbols({"CONFIG_D": "y"}, final) == ["CONFIG_D=y (got n)"]
    assert dropped_symbols({"CONFIG_C": "n"}, {"CONFIG_C": "y"}) == ["CONFIG_C=n (got y)"]


@pytest.fixture
def line(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/base.config").write_text("CONFIG_A=y\n")
    (tmp_path / "variants.toml").write_text(
        '[variant.small]\nfragments = ["base"]\n[variant.broken]\nfragments = ["nothing"]\n'
    )
    return tmp_path


def test_a_variant_is_a_list_of_fragments(line: Path) -> None:
    assert load_variant(line, "small").fragments == (line / "config/base.config",)


def test_an_unknown_variant_says_which_there_are(line: Path) -> None:
    with pytest.raises(UserError, match="no kernel variant 'big'; there are: broken, small"):
        load_variant(line, "big")


def test_a_missing_fragment_is_named(line: Path) -> None:
    with pytest.raises(UserError, match=r"no such fragment: .*nothing\.config"):
        load_variant(line, "broken")


def test_the_projects_own_variants_load() -> None:
    patches = Path(__file__).parents[3] / "guest-kernel-patches" / "linux-6.1"
    assert load_variant(patches, "pageshare").fragments
