"""A short kernel compile from the experiment file to the report, held against the schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.experiment import load_experiment
from orchestrator.progress import Progress
from orchestrator.results import Summary, verify_run
from orchestrator.runner import run_experiment

EXPERIMENT = Path(__file__).parent / "short.toml"


@pytest.fixture(scope="module")
def finished(progress: Progress, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    results = tmp_path_factory.mktemp("results")
    return run_experiment(load_experiment(EXPERIMENT), EXPERIMENT, results, progress)


def test_run_is_good_and_its_books_close(finished: tuple[Path, Summary]) -> None:
    _, summary = finished
    (variant,) = summary.variants
    assert (summary.verdict, variant.reasons) == ("OK", [])
    assert variant.books_closed is True
    assert variant.books.marks > 10
    assert variant.digests_equal is True


def test_domains_swapped_and_the_store_saved_memory(finished: tuple[Path, Summary]) -> None:
    (variant,) = finished[1].variants
    for domain in variant.domains:
        assert domain.logical_bytes_peak is not None and domain.logical_bytes_peak > 1 << 20
        assert domain.latency.store is not None and domain.latency.store.count > 0
    parts = [variant.same_filled, variant.compression, variant.sharing_within,
             variant.sharing_between]  # fmt: skip
    assert variant.reduction == pytest.approx(sum(part or 0 for part in parts))
    assert variant.reduction is not None and variant.reduction > 0.3


def test_figures_follow_from_the_samples(finished: tuple[Path, Summary]) -> None:
    assert verify_run(finished[0]) == []


def test_manifest_names_everything(finished: tuple[Path, Summary]) -> None:
    manifest = json.loads((finished[0] / "manifest.json").read_text())
    assert manifest["qemu_command"][0].endswith("qemu-system-aarch64")
    assert len(manifest["patches"]) >= 8
    assert {"kernel", "xen", "dom0_image", "domu_image", "toolchain", "workload"} <= set(
        manifest["artifacts"]
    )


def test_samples_hold_every_source(finished: tuple[Path, Summary]) -> None:
    lines = [json.loads(line) for line in (finished[0] / "samples.jsonl").open()]
    assert any(line.get("machine") for line in lines)
    assert any(line.get("dom0") for line in lines)
    marks = [record for line in lines for record in line["records"] if record["kind"] == "mark"]
    assert {mark["domain"] for mark in marks} == {"domU1", "domU2"}


def test_report_stands_alone(finished: tuple[Path, Summary]) -> None:
    html = (finished[0] / "report.html").read_text()
    assert "<svg" in html
    for outside in ('src="http', 'href="http', "<script src", "@import"):
        assert outside not in html


def test_consoles_are_whole(finished: tuple[Path, Summary]) -> None:
    text = "".join(
        path.read_text(errors="replace") for path in finished[0].rglob("console/**/*.log")
    )
    assert "Xen" in text and "xen-pageshare: connected" in text
