from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.digests import tree_digest
from orchestrator.artifacts.kernel import build_kernel
from orchestrator.artifacts.kernel_patches import (
    changes_kconfig,
    needs_whole_build,
    patch_files,
    touched,
)
from orchestrator.commands import CommandFailed
from orchestrator.errors import UserError
from tests.unit.fake_kernel import FakeKernel, make_fake_kernel


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    monkeypatch.setenv("MAKELEVEL", "1")  # as under make test
    monkeypatch.setenv("MAKEFLAGS", "w")
    return make_fake_kernel(tmp_path, monkeypatch)


def build(fake: FakeKernel, *patches: Path) -> Artifact:
    return build_kernel(fake.context, "small", patches=patches, on_line=fake.said.append)


def compiled(fake: FakeKernel) -> list[str]:
    return sorted(line for line in fake.built() if line.startswith("CC"))


def digests(fake: FakeKernel, kind: str) -> list[str]:
    return [tree_digest(folder) for folder in sorted((fake.context.cache.root / kind).iterdir())]


def test_the_series_own_kernel_is_built_whole_once(fake: FakeKernel) -> None:
    first = build(fake)
    assert compiled(fake) == ["CC mm/frontswap.o", "CC mm/swap.o"]
    assert "TWO" in first.path.read_text()
    assert (first.folder / "config").read_text() == "# nothing\nCONFIG_A=y\n"
    assert (first.folder / "System.map").is_file()
    assert build(fake) == first
    assert fake.built() == []


def test_a_patch_builds_only_what_it_changed_into_what_a_whole_build_gives(
    fake: FakeKernel,
) -> None:
    base = build(fake)
    fake.built()
    patch = fake.patch("mm/swap.c", "swap", "swap, patched")
    made = build(fake, patch)
    assert fake.built() == ["CC mm/swap.o", "LD vmlinux"]
    assert made.digest != base.digest
    assert (made.folder / "patches/0001-change.patch").read_text() == patch.read_text()

    # the same source, all of it built: the patch as a part of the series
    patch.rename(fake.context.patches / "0002-change.patch")
    whole = build(fake)
    assert compiled(fake) == ["CC mm/frontswap.o", "CC mm/swap.o"]
    assert whole.digest == made.digest


def test_source_and_objects_in_the_cache_stay_as_they_are(fake: FakeKernel) -> None:
    build(fake)
    before = digests(fake, "kernel-tree"), digests(fake, "kernel-objects")
    build(fake, fake.patch("mm/swap.c", "swap", "swap, patched"))
    assert (digests(fake, "kernel-tree"), digests(fake, "kernel-objects")) == before
    assert len(before[0]) == len(before[1]) == 1


def test_objects_that_are_built_after_the_patch_was_applied_do_not_hide_it(
    fake: FakeKernel,
) -> None:
    made = build(fake, fake.patch("mm/swap.c", "swap", "swap, patched"))
    assert "swap, patched" in made.path.read_text()
    assert compiled(fake) == ["CC mm/frontswap.o", "CC mm/swap.o", "CC mm/swap.o"]


def test_patches_apply_in_the_order_given(fake: FakeKernel) -> None:
    first = fake.patch("mm/swap.c", "swap", "once", "b.patch")
    second = fake.patch("mm/swap.c", "once", "twice", "a.patch")
    made = build(fake, first, second)
    assert "twice" in made.path.read_text()
    kept = sorted(path.name for path in (made.folder / "patches").iterdir())
    assert kept == ["0001-b.patch", "0002-a.patch"]
    with pytest.raises(UserError, match=r"^a\.patch: mm/swap\.c hunk #1"):
        build(fake, second, first)


def test_a_patch_that_does_not_apply_is_named_before_anything_is_built(fake: FakeKernel) -> None:
    bad = fake.patch("mm/frontswap.c", "uno", "eins", "lru.patch")
    says = (
        r"^lru\.patch: mm/frontswap\.c hunk #1 \(line 1\) does not apply; rebase it on the series"
    )
    with pytest.raises(UserError, match=says):
        build(fake, bad)
    assert fake.built() == []
    assert not (fake.context.cache.root / "kernel-objects").exists()
    assert list((fake.context.cache.root / "building").iterdir()) == []


def test_a_patch_that_does_not_compile_is_the_user_s(fake: FakeKernel) -> None:
    broken = fake.patch("mm/swap.c", "swap", "BROKEN")
    says = r"^the kernel does not build with the patches: mm/swap\.c:1:5: error: this is broken$"
    with pytest.raises(UserError, match=says):
        build(fake, broken)


def test_a_make_that_fails_otherwise_is_not(fake: FakeKernel) -> None:
    build(fake)
    with pytest.raises(CommandFailed, match="it stops here"):
        build(fake, fake.patch("Makefile", "VERSION = 6", "$(error it stops here)"))


def test_the_key_has_the_patch_s_text_and_not_its_name(fake: FakeKernel) -> None:
    one = build(fake, fake.patch("mm/swap.c", "swap", "one", "one.patch"))
    fake.built()
    again = build(fake, fake.patch("mm/swap.c", "swap", "one", "other.patch"))
    assert again == one
    assert fake.built() == []
    assert build(fake, fake.patch("mm/swap.c", "swap", "two", "one.patch")).key != one.key
    assert one.key != build(fake).key


def test_a_patch_to_kconfig_is_configured_anew(fake: FakeKernel) -> None:
    build(fake)
    fake.built()
    made = build(fake, fake.patch("Kconfig", "config A", "config A NEW"))
    assert fake.built() == ["LD vmlinux"]
    assert (made.folder / "config").read_text().endswith("CONFIG_NEW=y\n")


def test_a_patch_to_a_script_builds_everything(fake: FakeKernel) -> None:
    build(fake)
    fake.built()
    made = build(fake, fake.patch("scripts/flags", "-O2", "-O3"))
    assert compiled(fake) == ["CC mm/frontswap.o", "CC mm/swap.o"]
    assert made.path.read_text().count("-O3") == 2


def test_a_file_that_a_patch_adds_wins_over_an_object_of_its_name(fake: FakeKernel) -> None:
    build(fake)
    patch = fake.folder / "shipped.patch"
    patch.write_text("--- /dev/null\n+++ b/mm/swap.o\n@@ -0,0 +1 @@\n+shipped\n")
    made = build(fake, patch)
    assert "shipped" in made.path.read_text()


def test_touched_files_of_every_kind_of_change(tmp_path: Path) -> None:
    patch = tmp_path / "all.patch"
    patch.write_text(
        "--- a/mm/swap.c\t2026-01-01\n+++ b/mm/swap.c\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n"
        "--- /dev/null\n+++ b/mm/new file.c\n@@ -0,0 +1 @@\n+a\n"
        "--- linux.orig/mm/gone.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
        "diff --git a/mm/old.c b/mm/moved.c\nrename from mm/old.c\nrename to mm/moved.c\n"
        "diff --git a/scripts/run b/scripts/run\nold mode 100644\nnew mode 100755\n"
    )
    assert touched([patch]) == {
        "mm/swap.c", "mm/new file.c", "mm/gone.c", "mm/old.c", "mm/moved.c", "scripts/run",
    }  # fmt: skip


def test_what_needs_more_than_make() -> None:
    assert needs_whole_build({"mm/swap.c", "scripts/link-vmlinux.sh"})
    assert not needs_whole_build({"mm/swap.c", "drivers/xen/scripts.c"})
    assert changes_kconfig({"drivers/xen/Kconfig"})
    assert changes_kconfig({"lib/Kconfig.debug"})
    assert not changes_kconfig({"mm/Makefile"})


def test_patches_are_a_file_or_a_folder_s(tmp_path: Path) -> None:
    for name in ("0002-b.patch", "0001-a.patch", "notes.txt"):
        (tmp_path / name).touch()
    assert patch_files(tmp_path / "0002-b.patch") == [tmp_path / "0002-b.patch"]
    assert [path.name for path in patch_files(tmp_path)] == ["0001-a.patch", "0002-b.patch"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no \*\.patch"):
        patch_files(tmp_path / "empty")
    with pytest.raises(UserError, match="absent: no such patch"):
        patch_files(tmp_path / "absent")


def test_objects_are_what_make_made_and_no_source(fake: FakeKernel) -> None:
    build(fake)
    (objects,) = (fake.context.cache.root / "kernel-objects").iterdir()
    made = {path.name for path in (objects / "objects").rglob("*") if path.is_file()}
    assert made == {".config", "Image", "System.map", "frontswap.o", "swap.o", "vmlinux"}
