"""The commands that compare kernels with and without patches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestrator.errors import UserError
from orchestrator.progress import Progress

if TYPE_CHECKING:
    from orchestrator.compare import Criteria

__all__ = ["ab", "criteria_of", "error_rates"]


def ab(
    patch: Annotated[
        list[str],
        typer.Option(
            "--patch",
            metavar="PATCH",
            help="A patch file, a folder of them, a git tree, or TREE:REVISIONS; may be repeated.",
        ),
    ],
    experiment: Annotated[
        str, typer.Option(help="What is run: an experiment file, or a shipped one's name.")
    ] = "ab",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar="NAME", help="Of this variant alone; may be repeated."),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=500, help="Runs of each arm.")] = 12,
    each: Annotated[
        bool, typer.Option("--each", help="Compare after each patch, not only after all.")
    ] = False,
    smallest_effect: Annotated[
        float, typer.Option(help="What is too small to report, a share of 1.")
    ] = 0.01,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest interrupted run of it.")
    ] = False,
    results: Annotated[Path, typer.Option("--results", help="Where runs are kept.")] = Path(
        "results"
    ),
) -> None:
    """Does a kernel patch help? Run with and without it, interleaved, and say how sure that is."""
    from orchestrator.ab import run_ab
    from orchestrator.cli import EXIT_OF_VERDICT, GUEST_FAILED
    from orchestrator.compare import comparison_table
    from orchestrator.experiment import load_experiment, shipped_or_given
    from orchestrator.kernel_tree import patches_of

    file = shipped_or_given(experiment)
    loaded = load_experiment(file)
    if variant:
        loaded = loaded.only(variant)
    criteria = criteria_of(smallest_effect)
    with Progress.of_command("ab") as progress, patches_of(patch, log=progress.log) as files:
        if not files:
            raise UserError("--patch names no patch")
        folder, summary, compared = run_ab(
            loaded,
            file,
            files,
            results,
            progress,
            repeat=repeat,
            criteria=criteria,
            each=each,
            resume=resume,
        )
    console = Console()
    for (name, step), comparison in compared.items():
        base, other = step.names
        console.print(f"\n[bold]{name}[/]: {base} and {other}", highlight=False)
        console.print(comparison_table(comparison, base=base, other=other))
    if summary.timing == "icount":
        console.print("times are counted instructions of one CPU, not cycles", style="dim")
    for reason in summary.reasons:
        console.print(f"[red]{reason.splitlines()[0]}[/]", soft_wrap=True)
    console.print(f"runs and comparison:  {folder}", soft_wrap=True)
    raise typer.Exit(EXIT_OF_VERDICT.get(summary.verdict, GUEST_FAILED))


def error_rates(
    run: Annotated[Path, typer.Argument(help="The folder of a run of testbed ab.")],
    draws: Annotated[int, typer.Option(min=1, max=100_000, help="How many comparisons.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
) -> None:
    """How often the verdict of testbed ab errs, over resamplings of the runs that it made."""
    from orchestrator.ab import rates_of
    from orchestrator.compare import rates_table

    console = Console()
    for one in rates_of(run, draws=draws, seed=seed):
        base, other = one.step.names
        console.print(f"\n[bold]{one.variant}[/]: {base} and {other}", highlight=False)
        console.print(rates_table(one.rates, one.metrics, base=base, other=other))


def criteria_of(smallest_effect: float) -> Criteria:
    """From ``--smallest-effect``. Raises ``UserError`` for what is no share."""
    from orchestrator.compare import Criteria

    try:
        return Criteria(smallest_effect=smallest_effect)
    except ValueError as error:
        raise UserError(f"--smallest-effect: {error}") from error
