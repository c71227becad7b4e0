"""Other builds of the native piece: with branch counters, or with sanitizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.unit.store import support

__all__ = ["branches", "build_counted", "run_sanitized", "use"]

_COUNTED = "-O0 -g --coverage"
_SANITIZED = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
_ENVIRONMENT = "FUZZ_NATIVE_FOLDER"


def use(folder: Path) -> None:
    """Makes every store of this process load the native piece from ``folder``."""
    support.native_folder = lambda: folder


def use_what_the_environment_names() -> None:
    """Called first by whatever ``run_sanitized`` started."""
    if _ENVIRONMENT in os.environ:
        use(Path(os.environ[_ENVIRONMENT]))


def build_counted(folder: Path) -> None:
    """Builds it with gcov's counters, all at 0."""
    _build(folder, _COUNTED)
    for counts in folder.glob("*.gcda"):
        counts.unlink()


def run_sanitized(folder: Path, arguments: Sequence[str]) -> int:
    """Runs this Python again with ``arguments``, under the address and undefined sanitizers.

    Python's own objects come from ``malloc`` then, each with a zone around it
    that must not be touched. What the interpreter never frees is not reported.
    """
    _build(folder, _SANITIZED)
    command = ["gcc", "-print-file-name=libasan.so"]
    library = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONMALLOC": "malloc",
        _ENVIRONMENT: str(folder.resolve()),
    }
    done = subprocess.run([sys.executable, *arguments], env=environment, check=False)
    return done.returncode


def branches(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """By source file: lines run, lines, branches taken, branches; as counted so far."""
    counts = sorted(path.name for path in folder.glob("*.gcda"))
    command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", *counts]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    lines: dict[str, dict[int, int]] = {}
    taken: dict[str, dict[tuple[int, int], int]] = {}
    for document in done.stdout.splitlines():
        for file in json.loads(document)["files"]:
            path = Path(file["file"])
            if support.NATIVE.resolve() not in (folder / path).resolve().parents:
                continue  # xxhash.h, eventfd.h
            for line in file["lines"]:
                number = line["line_number"]
                known = lines.setdefault(path.name, {})
                known[number] = known.get(number, 0) + line["count"]
                for at, branch in enumerate(line["branches"]):
                    seen = taken.setdefault(path.name, {})
                    seen[number, at] = seen.get((number, at), 0) + branch["count"]
    return {
        name: (
            sum(1 for count in lines[name].values() if count),
            len(lines[name]),
            sum(1 for count in taken.get(name, {}).values() if count),
            len(taken.get(name, {})),
        )
        for name in sorted(lines)
    }


def _build(folder: Path, flags: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = ["all", "test-front", "test-tape"]
    command = ["make", "-C", str(support.NATIVE), "CC=gcc", f"OUT={folder.resolve()}", *target]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CFLAGS": flags})
