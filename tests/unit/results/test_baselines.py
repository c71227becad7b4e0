"""Runs whose domUs swap elsewhere: their figures, their verdicts, their table and report."""

from __future__ import annotations

import pytest
from rich.console import Console

from orchestrator.metrics.swap import SwapSample
from orchestrator.results import RunFolder, read_run
from orchestrator.results.build import build_summary
from orchestrator.results.finish import finish_run
from orchestrator.results.table import result_table
from orchestrator.results.verify import verify_run
from tests.unit.results.synthetic import OBJECTS, manifest, mark, outcome, parsed, peak_of, sample


def looked(variant, seconds, domain, place="domU", **figures):
    return SwapSample(variant=variant, domain=domain, place=place, seconds=seconds, **figures)


def zram(seconds, domain, pages):
    kept = {"kept_pages": pages, "same_filled_pages": pages // 5}
    bytes_ = {"payload_bytes": pages * 900, "memory_bytes": pages * 1000}
    return looked("zram", seconds, domain, slots_used_pages=pages, **kept, **bytes_)


LOOKED = {
    "zram": [zram(at, name, 100 * at) for at in (1, 2, 3) for name in ("domU1", "domU2")],
    "disk": [looked("disk", 1, name, slots_used_pages=50) for name in ("domU1", "domU2")],
    "none": [looked("none", 1, name, slots_used_pages=0) for name in ("domU1", "domU2")],
}


@pytest.fixture
def folder(tmp_path):
    with RunFolder.create(tmp_path, manifest("run", ("zram", "disk", "none"))) as folder:
        yield folder


def swapping(folder, swap, looked=None, **changes):
    ended = outcome(swap, 2, swap=swap, store_requests_per_second=None, **changes)
    domains = [
        domain.model_copy(
            update={"memory_mib": 136, "swapped_out_pages": 70, "swapped_in_pages": 30}
        )
        for domain in ended.domains
    ]
    looked = LOOKED[swap] if looked is None else looked
    folder.append_swap(one.model_copy(update={"variant": swap}) for one in looked)
    folder.write_variant(ended.model_copy(update={"domains": domains}), None)


def test_figures_are_those_of_the_kernels_at_the_peak(folder):
    swapping(folder, "zram")
    (variant,) = build_summary(read_run(folder.path)).variants
    assert (variant.verdict, variant.reasons, variant.warnings) == ("OK", [], [])
    assert variant.logical_bytes == 600 * 4096
    assert (variant.payload_bytes, variant.footprint_bytes) == (540_000, 600_000)
    assert (variant.frontend_bytes, variant.store_footprint_bytes) == (600_000, 0)
    assert variant.net_reduction == pytest.approx(1 - 600_000 / (600 * 4096))
    assert variant.coverage == 1.0
    assert (variant.peak.source, variant.peak.seconds) == ("kernels", 3.0)
    first = variant.domains[0]
    assert (first.swapped_out_pages, first.swapped_in_pages, first.memory_mib) == (70, 30, 136)
    assert first.swapped_bytes_at_peak == 300 * 4096


def test_a_disk_has_no_reduction_but_a_verdict(folder):
    swapping(folder, "disk")
    (variant,) = build_summary(read_run(folder.path)).variants
    assert (variant.verdict, variant.reduction, variant.coverage) == ("OK", None, 0.0)


@pytest.mark.parametrize(
    ("swap", "looked", "said"),
    [
        ("zram", [], "no domU swapped anything out"),
        ("zram", LOOKED["none"], "no domU swapped anything out"),
        ("zram", LOOKED["disk"], "no page was kept by zram"),
        ("none", LOOKED["disk"], "a domU swapped, which it must not"),
    ],
)
def test_pages_that_went_elsewhere_make_it_invalid(folder, swap, looked, said):
    swapping(folder, swap, looked)
    (variant,) = build_summary(read_run(folder.path)).variants
    assert variant.verdict == "INVALID"
    assert said in variant.reasons[0]


def test_other_objects_make_it_invalid_without_a_store_too(folder):
    swapping(folder, "zram", reference_digests=dict.fromkeys(OBJECTS, "f" * 64))
    (variant,) = build_summary(read_run(folder.path)).variants
    assert variant.verdict == "INVALID"


def test_the_run_is_told_whole_and_verifies(tmp_path):
    names = ("zram", "disk", "none", "ours")
    with RunFolder.create(tmp_path, manifest("run", names)) as folder:
        for swap in ("zram", "disk", "none"):
            swapping(folder, swap)
        record = mark(1)
        folder.append_sample(sample("ours", 1.0, [parsed(record)]))
        folder.write_variant(outcome("ours", 2, title="the store"), peak_of(record))
        summary = finish_run(folder)
    assert verify_run(folder.path) == []
    console = Console(width=110, record=True)
    console.print(result_table(summary))
    said = console.export_text()
    assert "2 x 136" in said
    assert "140" in said  # pages out
    assert "the store" in said
    html = (folder.path / "report.html").read_text()
    assert "Ways to swap, side by side" in html
    assert "Figure 2: the amount" in html
