"""A copy of the store and its tests in which something is changed, to run anything in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "STORE", "WEAK", "Change", "command_in", "make_tree", "run_weak"]

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "testbed" / "store"


class Change(NamedTuple):
    """One place in a file of the store, and what it becomes."""

    file: str
    """Its path below ``testbed/store``."""
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """Raises ``ValueError`` when the file has no such place, or several."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {text.count(self.old)} times {self.old!r}")
        return text.replace(self.old, self.new)


_WARNINGS_ARE_NO_ERRORS = Change("native/Makefile", "-Werror ", "")

WEAK = (
    Change(
        "native/table.h",
        "return XXH3_64bits_withSeed(payload, length, seed);",
        "const uint8_t *bytes = payload;\n\n"
        "\t(void)length;\n"
        "\t(void)seed;\n"
        "\treturn ((bytes[0] ^ bytes[15]) % 7 + 57ull) << 58;",
    ),
    Change(
        "table.py",
        "fingerprint: Fingerprint = xxhash.xxh3_64_intdigest\n",
        "def fingerprint(payload, seed):\n    return (payload[0] ^ payload[15]) % 7 + 57 << 58\n",
    ),
)
"""Fingerprints of seven values, at the index's end: the comparison must decide.

Real ones never collide in a test, so that nothing else would show whether the
native piece compares group, encoding, length and bytes, and finds its way along
a row of equal hashes.
"""


def make_tree(folder: Path, changes: Iterable[Change]) -> None:
    """Copies what the fuzzers need into ``folder``, with ``changes``."""
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "system")
    for part in ("testbed/store", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "testbed/__init__.py", folder / "testbed")
    for change in (_WARNINGS_ARE_NO_ERRORS, *changes):
        path = folder / "testbed/store" / change.file
        path.write_text(change.applied_to(path.read_text()))


def command_in(name: str, work: Path, arguments: Sequence[str]) -> list[str]:
    """The command of the fuzzer ``name``, to be run in a tree; its work stays where it is."""
    return [sys.executable, "-m", f"tests.fuzz.{name}", *arguments, "--work", str(work.resolve())]


def run_weak(name: str, work: Path, arguments: Sequence[str]) -> int:
    """Runs the fuzzer ``name`` again with fingerprints that collide."""
    tree = work / "tree"
    make_tree(tree, WEAK)
    return subprocess.run(command_in(name, work, arguments), cwd=tree, check=False).returncode
