"""``python -m tests.fuzz.replay``: what the corpora reach of the store, branch by branch.

Plays every input of the committed corpora, and of those that campaigns left,
once. Python's branches are counted by coverage.py, C's by gcov. ``--minimise``
keeps, in the committed corpus of each fuzzer, the fewest and shortest inputs
that reach as much of the Python code as all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import subprocess
import sys
from pathlib import Path

from tests.fuzz import native
from tests.fuzz.campaign import CORPORA

__all__ = ["inputs", "main"]

FUZZERS = ("ring", "xenstore")
_STORE = Path(__file__).resolve().parents[2] / "testbed" / "store"
_ELSEWHERE = {"__main__.py", "config.py", "control.py", "controlserver.py", "service.py"}
_ELSEWHERE |= {"transport/frontend.py", "xen/domains.py", "xen/events.py", "xen/grants.py"}
_ELSEWHERE |= {"xen/library.py"}
"""What no domU's bytes get to, or what a fake stands for. Shown, but not in the sum."""
_MOST_KEPT = 60_000
"""Bytes of a committed corpus."""


def inputs(name: str, *more: Path) -> dict[Path, bytes]:
    """The inputs of the fuzzer ``name``, small ones first, with those of the folders ``more``.

    A campaign that runs may replace what it has just listed.
    """
    found = {}
    for path in (path for folder in (CORPORA / name, *more) for path in folder.glob("*")):
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.read_bytes()
    return dict(sorted(found.items(), key=lambda item: (len(item[1]), item[0])))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.replay", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("results/fuzz"))
    parser.add_argument("--most", type=int, default=1_000_000, help="inputs of each fuzzer")
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--played-here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    folder = options.work / "native-counted"
    if options.played_here:  # gcov writes its counts when the process ends
        native.use(folder)
        _play(options)
        return 0
    native.build_counted(folder)
    given = sys.argv[1:] if arguments is None else arguments
    counted = ["coverage", "run", "--branch", f"--source={_STORE}"]
    counted += [f"--data-file={options.work / 'coverage.data'}"]
    played = ["tests.fuzz.replay", *given, "--played-here"]
    subprocess.run([sys.executable, "-m", *counted, "-m", *played], check=True)
    figures = json.loads((options.work / "coverage.json").read_text())
    figures["native"] = native.branches(folder)
    (options.work / "coverage.json").write_text(json.dumps(figures, indent=1) + "\n")
    _show(figures)
    return 0


def _play(options: argparse.Namespace) -> None:
    import coverage

    measured = coverage.Coverage.current()
    assert measured is not None
    reached: dict[str, dict[Path, set]] = {}
    played: dict[str, dict[Path, bytes]] = {}
    for name in FUZZERS:
        target = importlib.import_module(f"tests.fuzz.{name}").make(["python", "native"])
        work = [options.work / folder / "corpus" for folder in (name, f"{name}-plain")]
        chosen = dict(list(inputs(name, *work).items())[: options.most])
        for path, program in chosen.items():
            measured.switch_context(f"{name}:{path}")
            target(program)
        measured.switch_context("")
        target.close()
        reached[name], played[name] = {path: set() for path in chosen}, chosen
    measured.stop()
    data = measured.get_data()
    for name, paths in reached.items():
        for path, arcs in paths.items():
            data.set_query_context(f"{name}:{path}")
            for file in data.measured_files():
                arcs.update((file, arc) for arc in data.arcs(file) or ())
        if options.minimise:
            _minimise(name, paths, played[name])
    data.set_query_contexts(None)
    measured.json_report(outfile=str(options.work / "python.json"), pretty_print=False)
    files = json.loads((options.work / "python.json").read_text())["files"]
    figures = {"inputs": {name: len(paths) for name, paths in reached.items()}, "python": {}}
    for file, report in sorted(files.items()):
        summary = report["summary"]
        figures["python"][str(Path(file).resolve().relative_to(_STORE))] = (
            summary["covered_lines"],
            summary["num_statements"],
            summary["covered_branches"],
            summary["num_branches"],
        )
    (options.work / "coverage.json").write_text(json.dumps(figures))


def _minimise(name: str, reached: dict[Path, set], programs: dict[Path, bytes]) -> None:
    """Greedy: whichever adds most, until none adds anything."""
    folder, left, seen, size = CORPORA / name, dict(reached), set(), 0
    kept: dict[str, bytes] = {}
    while left:
        path = max(left, key=lambda path: (len(left[path] - seen), -len(programs[path])))
        new = left.pop(path) - seen
        size += len(programs[path])
        if not new or size > _MOST_KEPT:
            break
        seen |= new
        kept[path.name] = programs[path]
    for path in folder.glob("*"):
        path.unlink()
    for file, content in kept.items():
        (folder / file).write_bytes(content)


def _show(figures: dict) -> None:
    print(f"inputs: {figures['inputs']}")
    print(f"{'file':32}{'lines':>16}{'branches':>16}")
    for part in ("python", "native"):
        counted = [row for name, row in figures[part].items() if name not in _ELSEWHERE]
        total = [sum(column) for column in zip(*counted, strict=True)]
        for name, (run, lines, taken, branches) in [*figures[part].items(), (part, total)]:
            print(f"{name:32}{_share(run, lines):>16}{_share(taken, branches):>16}")


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} {100 * part / whole:3.0f} %" if whole else "-"


if __name__ == "__main__":
    sys.exit(main())
