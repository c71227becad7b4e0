"""``testbed``: the command line.

Exit codes: 0 the run is good; 2 the input cannot work; 3 host, QEMU, Xen or
dom0 failed; 4 a domU or its workload failed; 5 the run is INVALID.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from orchestrator import ab_cli, patch_cli, regression_cli
from orchestrator.errors import TestbedError, UserError
from orchestrator.progress import Progress

__all__ = ["app", "main"]

app = typer.Typer(
    help="Compressed, shared swap pages between Xen domains, on an emulated Arm machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ResultsOption = Annotated[Path, typer.Option("--results", help="Where runs are kept.")]
BuilderOption = Annotated[
    str | None,
    typer.Option(
        "--image-builder",
        metavar="NAME",
        help="Of the domUs' images: buildroot, debian or auto (Buildroot where there is a tree).",
    ),
]
ToolchainOption = Annotated[
    str | None,
    typer.Option(
        "--buildroot-toolchain",
        metavar="NAME",
        help="Buildroot's compiler: bootlin, a download; or debian, with Debian's sources.",
    ),
]
RESULTS = Path("results")
EXIT_OF_VERDICT = {"OK": 0, "INFRA_FAILED": 3, "INVALID": 5}
GUEST_FAILED = 4


def main() -> None:
    """Entry point: every error of ours is one line, and its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # torn down like Ctrl-C
    try:
        app()
    except TestbedError as error:
        line = f"[red]testbed:[/] {escape(str(error))}"
        Console(stderr=True).print(line, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


@app.command()
def build(
    image_builder: BuilderOption = None,
    buildroot_toolchain: ToolchainOption = None,
    sbom: Annotated[
        bool, typer.Option("--sbom", help="Write what is in the images to RESULTS/sbom.")
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Build the artifacts: kernel, Xen, images, disks. What is in the cache is not built again."""
    from orchestrator.build import build_parts, write_sboms
    from orchestrator.experiment import DomuImage

    image = DomuImage().as_asked(image_builder, buildroot_toolchain)
    with Progress.of_command("build") as progress:
        parts = build_parts(progress, image=image)
        for name, artifact in parts.artifacts.all.items():
            line = f"  {name:12} {artifact.key[:16]}  {artifact.path}"
            progress.console.print(line, soft_wrap=True, highlight=False)
        if sbom:
            for path in write_sboms(parts, image, results / "sbom", progress):
                progress.console.print(f"  {path}", soft_wrap=True, highlight=False)


@app.command("fetch-buildroot")
def fetch_buildroot() -> None:
    """Bring the pinned release of Buildroot into the cache (make buildroot)."""
    from orchestrator.artifacts import BuildContext, Cache
    from orchestrator.artifacts.buildroot import fetch_tree

    with Progress.of_command("fetch-buildroot") as progress:
        with progress.phase("Buildroot, a git clone") as log:
            tree = fetch_tree(BuildContext(Cache.of_user(log=log), log=log))
        line = f"Buildroot {tree.version}: {tree.path}"
        progress.console.print(line, soft_wrap=True, highlight=False)


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="An experiment file, or a shipped one's name.")],
    results: ResultsOption = RESULTS,
    anew: Annotated[
        bool, typer.Option("--anew", help="Do not go on with an interrupted run of it.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest interrupted run of it.")
    ] = False,
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar="NAME", help="Run this variant alone; may be repeated."),
    ] = None,
    image_builder: BuilderOption = None,
    buildroot_toolchain: ToolchainOption = None,
) -> None:
    """Run an experiment: build what is missing, boot, measure, report."""
    from orchestrator.experiment import load_experiment, shipped_or_given
    from orchestrator.results import result_table
    from orchestrator.runner import run_experiment

    file = shipped_or_given(experiment)
    loaded = load_experiment(file)
    if variant:
        loaded = loaded.only(variant)
    image = loaded.domu.image.as_asked(image_builder, buildroot_toolchain)
    loaded = loaded.with_image(image)
    with Progress.of_command("run") as progress:
        folder, summary = run_experiment(loaded, file, results, progress, resume=resume, anew=anew)
        progress.console.print(result_table(summary))
        progress.console.print(f"report:  {folder / 'report.html'}", soft_wrap=True)
    raise typer.Exit(EXIT_OF_VERDICT.get(summary.verdict, GUEST_FAILED))


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(help="A run's folder.")] = RESULTS / "latest",
) -> None:
    """Print a run's table and make its report.html again."""
    from orchestrator.results import read_run, result_table
    from orchestrator.results.build import build_summary
    from orchestrator.results.report import render_report

    done = read_run(run_dir)
    Console().print(result_table(done.summary or build_summary(done)))
    Console().print(f"report: {render_report(run_dir)}", soft_wrap=True)


@app.command()
def verify(
    run_dir: Annotated[Path, typer.Argument(help="A run's folder.")] = RESULTS / "latest",
) -> None:
    """Recompute a run's figures from its samples and say what differs."""
    from orchestrator.results import verify_run

    problems = verify_run(run_dir)
    for problem in problems:
        Console(stderr=True).print(f"[red]{escape(str(problem))}[/]", soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    Console().print(f"{run_dir}: the summary follows from the samples")


@app.command()
def bench(results: ResultsOption = RESULTS) -> None:
    """Measure boot time, page rate and latencies; figures go into the run's manifest, too."""
    from orchestrator.bench import run_bench

    with Progress.of_command("bench") as progress:
        run_bench(progress, results)


@app.command()
def shell(
    name: Annotated[str, typer.Argument(help="dom0, or a domU's name.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="A command in place of a shell.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """A root shell in a domain of the machine that runs; boots one if none does."""
    from orchestrator.attach import open_shell

    with Progress.of_command("shell") as progress:
        raise typer.Exit(open_shell(name, command or [], results, progress))


@app.command()
def gdb(
    name: Annotated[str, typer.Argument(help="xen, dom0, or a domU's name.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="gdb's own, after --: -- -batch -ex 'bt'.")
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """gdb, with symbols, on the machine that runs; boots one if none does."""
    from orchestrator.attach import open_gdb

    with Progress.of_command("gdb") as progress:
        raise typer.Exit(open_gdb(name, arguments or [], results, progress))


@app.command()
def console(
    name: Annotated[str, typer.Argument(help="xen-dom0, store, or a domU's name.")],
    variant: Annotated[str, typer.Option(help="Of this variant; the newest one by default.")] = "*",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Print the console of a domain in the newest run, from its beginning."""
    folder = results / "latest" / "console"
    name = "xen-dom0" if name == "dom0" else name
    logs = sorted(folder.glob(f"{variant}/*.log"), key=lambda log: log.stat().st_mtime)
    found = [log for log in logs if log.stem == name]
    if not found:
        known = ", ".join(sorted({log.stem for log in logs})) or "none yet"
        raise UserError(f"{name}: no such console in {folder}; there are: {known}")
    path = found[-1]
    if follow:
        os.execvp("tail", ["tail", "-n", "+1", "-f", str(path)])  # noqa: S606
    shutil.copyfileobj(path.open(encoding="utf-8", errors="replace"), sys.stdout)


@app.command()
def clean(
    cache: Annotated[bool, typer.Option("--cache", help="The artifact cache too.")] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Remove runs and logs of this checkout; the artifact cache only on request."""
    from orchestrator.artifacts.cache import Cache
    from orchestrator.artifacts.context import checkout

    for running in results.glob("*/machine.json"):
        pid = json.loads(running.read_text())["qemu_pid"]
        if Path(f"/proc/{pid}").exists():
            raise UserError(
                f"{running.parent}: its machine runs still (process {pid}); end it first"
            )
    folders = [results, checkout() / ".testbed/log"]
    if cache:
        folders.append(Cache.of_user().root)
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
            Console().print(f"removed {folder}", soft_wrap=True)


app.command("new-patch")(patch_cli.new_patch)
app.command("save-patch")(patch_cli.save_patch)
app.command("build-kernel")(patch_cli.build_patched)
app.command("ab")(ab_cli.ab)
app.command("error-rates")(ab_cli.error_rates)
app.command("compare")(regression_cli.compare)
app.command("nightly")(regression_cli.nightly)
