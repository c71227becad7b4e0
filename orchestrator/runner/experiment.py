"""All variants of an experiment, one after the other, and what they come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator.build import build_parts, with_patches
from orchestrator.experiment import MAKING, Experiment
from orchestrator.progress import Progress
from orchestrator.provenance import manifest_of
from orchestrator.reference import reference_digests
from orchestrator.results import RunFolder, Summary, finish_run, read_run
from orchestrator.runner.expected import expected_objects, expected_rounds
from orchestrator.runner.setting import Setting
from orchestrator.runner.shape import describe_machine
from orchestrator.runner.variant import VariantRun

__all__ = ["run_experiment"]


def run_experiment(
    experiment: Experiment,
    file: Path,
    results: Path,
    progress: Progress,
    *,
    resume: bool = False,
    anew: bool = False,
    patches: Sequence[Path] = (),
) -> tuple[Path, Summary]:
    """Run every variant and return the run's folder and its summary.

    A variant that fails is part of the result, with its verdict; the others
    are run all the same. An experiment whose workload has ``resume`` goes on
    with its newest interrupted run, in that run's folder.

    Args:
        resume: do that in any case: variants that have ended well are not run again.
        patches: of the kernel, for variants that want some of them.
        anew: leave an interrupted run alone and begin another.

    Raises:
        UserError: before anything is built or booted.
        InfrastructureError: the artifacts could not be built.
    """
    # a bad shape is known at once
    machines = [describe_machine(experiment, variant) for variant in experiment.variants]
    kernels = [variant.base_kernel for variant in experiment.variants]
    parts = build_parts(progress, kernels, machines, experiment.domu.image)
    parts = with_patches(parts, experiment.variants, patches, progress)
    manifest = manifest_of(experiment, file, parts)
    resumed = None
    if resume or (experiment.workload.resume and not anew):
        resumed = RunFolder.resume(results, manifest)
    with ExitStack() as stack:
        folder = stack.enter_context(resumed or RunFolder.create(results, manifest))
        if resumed:
            progress.console.print(f"going on with {folder.path}; --anew begins another run")
        if experiment.workload.resume:
            stack.enter_context(_says_how_to_go_on(folder, progress))
        progress.also_to(folder.path / "commands.log")
        made = None
        if experiment.workload.kind in MAKING:
            made = reference_digests(parts, experiment, folder, progress)
        done = read_run(folder.path)
        for variant in experiment.variants:
            kept = done.variants.get(variant.name)
            if kept and kept.outcome.verdict == variant.expect:
                continue
            reference = None
            if experiment.workload.kind == "working-set":
                reference = expected_rounds(parts, experiment, variant)
            elif made is not None:
                reference = expected_objects(made, experiment, variant)
            earlier = done.samples_of(variant.name).samples
            setting = Setting(experiment, variant, parts, folder, progress, reference, earlier)
            VariantRun(setting).run()
        with progress.phase("figures and report"):
            summary = finish_run(folder)
    return folder.path, summary


@contextmanager
def _says_how_to_go_on(folder: RunFolder, progress: Progress) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        progress.console.print(f"interrupted; the same command goes on with {folder.path}")
        raise
