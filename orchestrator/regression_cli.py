"""The commands that say whether anything got worse.

Exit codes of both: 0 nothing did, 1 something did, 2 the input cannot work, 3 a run did not
end well.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestrator.ab_cli import criteria_of
from orchestrator.errors import UserError
from orchestrator.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.regression import Against, Variable

__all__ = ["compare", "nightly"]

WORSE = 1
FAILED = 3
ResultsOption = Annotated[Path, typer.Option("--results", help="Where runs are kept.")]
VariableOption = Annotated[
    str, typer.Option(help="What may differ: nothing, kernel, project, host or qemu.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Compare whatever differs.")]
EffectOption = Annotated[float, typer.Option(help="What is too small to report, a share of 1.")]


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the first is the base.")],
    base: Annotated[
        list[Path] | None,
        typer.Option("--base", help="A further run of the base; may be repeated."),
    ] = None,
    variable: VariableOption = "nothing",
    force: ForceOption = False,
    smallest_effect: EffectOption = 0.01,
) -> None:
    """Runs against an earlier one: what changed, and how sure that is."""
    from orchestrator.regression import compare_runs
    from orchestrator.results import read_run

    if len(runs) < 2:
        raise UserError("compare needs at least two runs: the base, and what is compared with it")
    compared = compare_runs(
        [read_run(runs[0]), *map(read_run, base or [])],
        [read_run(run) for run in runs[1:]],
        criteria_of(smallest_effect),
        variable=_variable(variable),
        force=force,
    )
    _show(compared)
    raise typer.Exit(WORSE if any(one.worse for one in compared) else 0)


def nightly(
    experiments: Annotated[
        list[str], typer.Argument(help="Experiment files, or shipped ones' names.")
    ],
    baseline: Annotated[
        Path, typer.Option(help="Folder of the runs that these are compared with.")
    ] = Path("results/baseline"),
    save: Annotated[
        bool, typer.Option("--save", help="Make these runs the baseline; nothing is compared.")
    ] = False,
    repeat: Annotated[int, typer.Option(min=1, max=500, help="Runs of each variant.")] = 8,
    variable: VariableOption = "project",
    force: ForceOption = False,
    smallest_effect: EffectOption = 0.01,
    junit: Annotated[Path, typer.Option(help="Gets JUnit's XML.")] = Path("results/nightly.xml"),
    markdown: Annotated[Path, typer.Option(help="Gets a summary.")] = Path("results/nightly.md"),
    results: ResultsOption = Path("results"),
) -> None:
    """Run experiments and compare them with a baseline that was kept."""
    from orchestrator.experiment import load_experiment, shipped_or_given
    from orchestrator.regression import compare_runs, junit_xml, repeated
    from orchestrator.regression import markdown as in_markdown
    from orchestrator.results import read_run
    from orchestrator.runner import run_experiment

    criteria, allowed = criteria_of(smallest_effect), _variable(variable)
    files = [shipped_or_given(name) for name in experiments]
    loaded = [load_experiment(file) for file in files]
    for one in loaded:
        if not save and not (baseline / one.name / "manifest.json").exists():
            raise UserError(
                f"{baseline / one.name}: no baseline of {one.name}; "
                "testbed nightly --save makes one"
            )
    compared: list[Against] = []
    failed: list[tuple[str, str]] = []
    with Progress.of_command("nightly") as progress:
        for file, one in zip(files, loaded, strict=True):
            folder, summary = run_experiment(repeated(one, repeat), file, results, progress)
            if summary.verdict != "OK":
                failed.append((one.name, "\n".join(summary.reasons) or summary.verdict))
            elif save:
                _keep(folder, baseline / one.name)
            else:
                compared += compare_runs(
                    [read_run(baseline / one.name)],
                    [read_run(folder)],
                    criteria,
                    variable=allowed,
                    force=force,
                )
    for path, text in (
        (junit, junit_xml(compared, failed)),
        (markdown, in_markdown(compared, failed)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _show(compared)
    for name, reason in failed:
        Console().print(f"[red]{name}:[/] {reason}", soft_wrap=True)
    Console().print(f"{junit}, {markdown}", soft_wrap=True)
    if failed:
        raise typer.Exit(FAILED)
    raise typer.Exit(WORSE if any(one.worse for one in compared) else 0)


def _variable(name: str) -> Variable:
    from orchestrator.regression import VARIABLES

    for known in VARIABLES:
        if name == known:
            return known
    raise UserError(f"--variable {name}: no such thing; it is one of {', '.join(VARIABLES)}")


def _keep(folder: Path, destination: Path) -> None:
    """Put a run where the baseline is, without its consoles; the one before is replaced."""
    fresh = destination.with_name(f".{destination.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder, fresh, ignore=shutil.ignore_patterns("console", "state", ".lock"))
    shutil.rmtree(destination, ignore_errors=True)
    fresh.rename(destination)


def _show(compared: Sequence[Against]) -> None:
    from orchestrator.compare import comparison_table

    console = Console()
    for one in compared:
        console.print(f"\n[bold]{one.experiment}, {one.variant}[/]", highlight=False)
        console.print(comparison_table(one.comparison, base="base", other="now"))
