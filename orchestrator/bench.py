"""``make bench``: how fast the testbed itself is. Reports; asserts nothing.

Wall seconds from the start to both domUs on SSH, then one domU's pages through
the store and back: requests a second, and latencies as the domU sees them. Then,
in dom0 alone, how long the store takes for a page that it has already and for a
new one, and for pages that its second look keeps smaller: what a domU could tell by
the clock.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.table import Table

from orchestrator.artifacts.context import checkout
from orchestrator.artifacts.payload import build_front_library
from orchestrator.build import build_parts
from orchestrator.deadline import Deadline
from orchestrator.experiment import load_experiment
from orchestrator.frontend import domain_latency
from orchestrator.machine import Machine
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.provenance import manifest_of
from orchestrator.results import LatencyFigures, RunFolder
from orchestrator.runner import describe_machine
from orchestrator.workloads import build_pagegen, start_pagegen

__all__ = ["run_bench"]

EXPERIMENT = "testbed/experiments/figure2.toml"
PAGES = 6000
SEED = 1
BOOT_SECONDS = 240.0
STREAM_SECONDS = 600.0
FRONT_LIBRARY = "/run/libpageshare_front.so"
"""Where it lies in dom0."""

Figures = dict[str, float | None]


def run_bench(progress: Progress, results: Path) -> None:
    """Measure, print a table, and keep the figures in a run folder's manifest."""
    file = checkout() / EXPERIMENT
    experiment = load_experiment(file)
    parts = build_parts(progress)
    manifest = manifest_of(experiment, file, parts, name="bench")
    description = describe_machine(experiment, experiment.variants[0])
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder.create(results, manifest, latest=False))
        payload = stack.enter_context(tempfile.TemporaryDirectory(prefix="testbed-payload-"))
        started = time.monotonic()
        with progress.phase("boot: Xen, dom0, store, two domUs") as log:
            files = parts.files(description, Path(payload))
            limit = Deadline.after(BOOT_SECONDS)
            boot = Machine.boot(description, files, folder.path, limit, log=log)
            machine = stack.enter_context(boot)
        figures: Figures = {"boot_seconds": time.monotonic() - started}
        with progress.phase(f"{PAGES} pages of one domU through the store and back"):
            figures |= _page_stream(machine, parts)
        with progress.phase("pages that the store has, and new ones"):
            figures |= _hit_and_miss(machine, parts)
        with progress.phase("pages that the second look keeps smaller"):
            figures |= _kept(machine)
        folder.note_machine("bench", machine.qemu_argv)
        folder.update_manifest(benchmark=figures)
    progress.console.print(_table(figures))
    progress.console.print(f"kept in {folder.path / 'manifest.json'}", soft_wrap=True)


def _page_stream(machine: Machine, parts: Parts) -> Figures:
    domain = next(iter(machine.domains.values()))
    program = build_pagegen(parts.context.cache)
    deadline = Deadline.after(STREAM_SECONDS)
    before = machine.store.control("stats", deadline)["service"]
    job = start_pagegen(
        domain, program, pages=PAGES, kind="text", seed=SEED, deadline=deadline, pageout=True
    )
    job.wait_held(deadline)
    job.release(deadline)
    job.result(deadline)
    after = machine.store.control("stats", deadline)["service"]
    busy = after["busy_seconds"] - before["busy_seconds"]
    latency = domain_latency(domain)
    return {
        "store_requests_per_busy_second": (after["requests"] - before["requests"]) / busy,
        **_figures("store", latency.store),
        **_figures("load", latency.load),
    }


def _hit_and_miss(machine: Machine, parts: Parts) -> Figures:
    """5 %, median and 95 % of both, from ``testbed.timing.hitmiss`` in dom0."""
    ssh, deadline = machine.dom0.ssh, Deadline.after(STREAM_SECONDS)
    library = build_front_library(parts.context).path
    ssh.write_file(FRONT_LIBRARY, library.read_bytes(), deadline=deadline)
    found = _timed(machine, "hitmiss", deadline)
    return {
        f"store_{kind}_{figure}_microseconds": value
        for kind, distribution in found.items()
        for figure, value in distribution.items()
    }


def _kept(machine: Machine) -> Figures:
    """The same of LOAD and STORE for each form in which a page is kept."""
    found = _timed(machine, "kept", Deadline.after(STREAM_SECONDS))
    return {
        f"{what}_of_{form}_{figure}_microseconds": value
        for form, kinds in found.items()
        for what, distribution in kinds.items()
        for figure, value in distribution.items()
    }


def _timed(machine: Machine, program: str, deadline: Deadline) -> dict[str, Any]:
    """What one of ``testbed.timing``'s programs prints in dom0."""
    command = f"PYTHONPATH=/payload python3 -m testbed.timing.{program} --front {FRONT_LIBRARY}"
    found: dict[str, Any] = json.loads(machine.dom0.ssh.run(command, deadline=deadline).stdout)
    return found


def _figures(name: str, latency: LatencyFigures | None) -> Figures:
    return {
        f"{name}_median_microseconds": latency.median_microseconds if latency else None,
        f"{name}_p99_microseconds": latency.p99_microseconds if latency else None,
    }


def _table(figures: Figures) -> Table:
    table = Table("figure", "value", title="benchmark (emulated machine: no hardware times)")
    table.columns[1].justify = "right"
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), "not measured" if value is None else f"{value:,.1f}")
    return table
