"""A kernel of four files that a checkout of its own builds in a second, with real make and git."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import BuildContext

# make's rules are Kbuild's in small: objects know their sources, outputs are written in place,
# and a file under scripts/ has a part in every object that no rule speaks of
MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 1
OBJECTS = mm/frontswap.o mm/swap.o
.PHONY: Image allnoconfig olddefconfig
Image: arch/arm64/boot/Image System.map
allnoconfig:
	@echo CONF $@
	@echo '# nothing' > .config
olddefconfig:
	@echo CONF $@
	@grep -v ABSENT .config > .config.new; mv .config.new .config
	@grep -q NEW Kconfig && echo CONFIG_NEW=y >> .config || true
vmlinux: $(OBJECTS) .config
	@echo LD $@
	@cat $(OBJECTS) .config > $@
arch/arm64/boot/Image: vmlinux
	@mkdir -p $(@D)
	@cat $< > $@
System.map: arch/arm64/boot/Image
	@wc -c < $< > $@
%.o: %.c
	@echo CC $@
	@! grep -q BROKEN $< || { echo "$<:1:5: error: this is broken" >&2; exit 1; }
	@cat $< scripts/flags > $@
"""
MERGE = """\
#!/bin/sh
shift; base=$1; shift
cat "$@" >> "$base"
"""
CHECKPATCH = """\
#!/bin/sh
for last; do :; done
awk -v name="$last" '
	/^[+].*BAD/ { printf "%s:%d: WARNING:BAD: a bad line\\n", name, NR; said = 1 }
	/^[+].*ODD/ { printf "%s:%d: CHECK:ODD: an odd line\\n", name, NR; said = 1 }
	END { exit said }' "$last"
"""
SOURCE = {
    "Makefile": MAKEFILE,
    "Kconfig": "config A\n",
    "scripts/flags": "-O2\n",
    "scripts/kconfig/merge_config.sh": MERGE,
    "scripts/checkpatch.pl": CHECKPATCH,
    ".gitignore": "*.o\nscripts/flags\n/*\n!/debian/\n",
    "mm/frontswap.c": "one\ntwo\nthree\n",
    "mm/swap.c": "swap\n",
}
SERIES = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Maintainer <a@maintainer.example>
Date: Mon, 23 Nov 2026 12:00:01 +0000
Subject: [PATCH] mm: frontswap: count in capitals

Signed-off-by: A Maintainer <a@maintainer.example>
---
 mm/added.c     | 1 +
 mm/frontswap.c | 2 +-
 2 files changed, 2 insertions(+), 1 deletion(-)
 create mode 100644 mm/added.c

diff --git a/mm/added.c b/mm/added.c
new file mode 100644
index 0000000..d5f7fc3
--- /dev/null
+++ b/mm/added.c
@@ -0,0 +1 @@
+added
diff --git a/mm/frontswap.c b/mm/frontswap.c
index 4cb29ea..ddc897f 100644
--- a/mm/frontswap.c
+++ b/mm/frontswap.c
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
"""
SERIES_NAME = "0001-mm-frontswap-count-in-capitals.patch"


@dataclass
class FakeKernel:
    """A checkout with a series, and the source that it is for."""

    folder: Path
    context: BuildContext
    said: list[str] = field(default_factory=list)
    """Make's lines."""

    @property
    def source(self) -> Path:
        """What is in the tarball."""
        return self.folder / "source/linux"

    @property
    def tarball(self) -> Path:
        """The source as Debian's package has it."""
        return self.folder / "source.tar.xz"

    def pack(self) -> None:
        """Make the tarball of the source."""
        argv = ["tar", "-cJf", self.tarball, "-C", self.source.parent, self.source.name]
        subprocess.run(argv, check=True)

    def patch(self, file: str, old: str, new: str, name: str = "0001-change.patch") -> Path:
        """A patch file that makes ``old``, the first line of ``file``, ``new``."""
        path = self.folder / name
        path.write_text(f"--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-{old}\n+{new}\n")
        return path

    def built(self) -> list[str]:
        """What make said since it was asked last."""
        lines, self.said[:] = list(self.said), []
        return lines


def make_fake_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """The fake kernel in ``folder``; builders take it for Debian's."""
    context = BuildContext(Cache(folder / "cache"), root=folder / "checkout")
    fake = FakeKernel(folder, context)
    for name, text in SOURCE.items():
        path = fake.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    fake.pack()
    line = context.patches
    (line / "config").mkdir(parents=True)
    (line / SERIES_NAME).write_text(SERIES)
    (line / "config/base.config").write_text("CONFIG_A=y\n")
    (line / "variants.toml").write_text('[variant.small]\nfragments = ["base"]\n')
    where = "orchestrator.artifacts"
    monkeypatch.setattr(f"{where}.kernel_source.source_tarball", lambda: (fake.tarball, "6.1-fake"))
    monkeypatch.setattr(f"{where}.kernel.installed_version", lambda package: "1")
    return fake


def user_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A user with a name and with git settings that would spoil patches, if they counted."""
    settings = folder / "gitconfig"
    settings.write_text(
        "[user]\nname = R. Searcher\nemail = r@searcher.example\n"
        "[diff]\nnoprefix = true\n[format]\nsignature = me\nnumbered = true\n"
        "[commit]\ngpgSign = true\n[gpg]\nprogram = false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
