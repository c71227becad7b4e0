"""Runs whose domUs swap elsewhere: their figures, their verdicts, their table and report."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.metrics.swap import SwapSample
from orchestrator.results import RunFolder, WorkingSetFigures, read_run
from orchestrator.results.baseline_table import COLUMNS, baseline_rows
from orchestrator.results.build import build_summary
from orchestrator.results.digests import compare_each, of_domain
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


def test_without_swap_every_domain_is_in_the_figures(folder):
    swapping(folder, "none")
    (variant,) = build_summary(read_run(folder.path)).variants
    assert [domain.name for domain in variant.domains] == ["domU1", "domU2"]
    assert variant.verdict == "OK"


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


ROUNDS = {"round 1": "1" * 16, "end": "2" * 16}


def worked(folder, **changes):
    """A zram variant whose domUs had working sets, each with digests of its own."""
    ended = outcome("zram", 2, swap="zram", store_requests_per_second=None, dom0_cpu_seconds=12.25)
    domains = [
        domain.model_copy(
            update={
                "workload": "working-set",
                "digests": {name: domain.name[-1] + digest for name, digest in ROUNDS.items()},
                "cpu_seconds": 3.5,
                "memory_mib": 64,
                "working_set": WorkingSetFigures(
                    pages=900, rounds=1, rewrites=300, verified=1500, fill_seconds=1.5
                ),
            }
        )
        for domain in ended.domains
    ]
    reference = {
        of_domain(domain.name, name): digest
        for domain in domains
        for name, digest in domain.digests.items()
    }
    folder.append_swap(one.model_copy(update={"variant": "zram"}) for one in LOOKED["zram"])
    fields = {
        "domains": domains,
        "reference_digests": reference,
        "own_digests": True,
        **changes,
    }
    folder.write_variant(ended.model_copy(update=fields), None)
    return reference


def test_a_working_set_is_judged_by_what_each_domain_read(folder):
    worked(folder)
    (variant,) = build_summary(read_run(folder.path)).variants
    assert (variant.verdict, variant.reasons) == ("OK", [])
    assert (variant.digests_equal, variant.digests.objects) == (True, 4)
    assert variant.dom0_cpu_seconds == 12.25
    assert [domain.cpu_seconds for domain in variant.domains] == [3.5, 3.5]
    assert variant.domains[0].working_set.rewrites == 300


def test_a_working_set_of_an_older_run_is_judged_the_same(folder):
    worked(folder, own_digests=False)
    (variant,) = build_summary(read_run(folder.path)).variants
    assert (variant.verdict, variant.digests.objects) == ("OK", 4)


def test_a_round_that_read_something_else_makes_it_invalid(folder):
    reference = worked(folder)
    worked(folder, reference_digests={**reference, of_domain("domU2", "end"): "f" * 16})
    (variant,) = build_summary(read_run(folder.path)).variants
    assert variant.verdict == "INVALID"
    assert variant.reasons == ["what rounds read differs: domU2: end"]


def test_a_working_set_without_anything_to_compare_with_is_invalid(folder):
    worked(folder, reference_digests=None)
    (variant,) = build_summary(read_run(folder.path)).variants
    assert variant.verdict == "INVALID"
    assert "could not be compared" in variant.reasons[0]


def test_a_working_set_that_failed_keeps_its_name(folder):
    worked(folder, domains=[], verdict="WORKLOAD_FAILED", reason="domU1: page 17 differs")
    (variant,) = build_summary(read_run(folder.path)).variants
    assert variant.verdict == "WORKLOAD_FAILED"
    assert variant.reasons == ["domU1: page 17 differs"]


@pytest.mark.parametrize("partial", [True, False])
def test_rounds_are_compared_each_with_its_own(partial):
    reference = {"a: 1": "x", "a: 2": "y", "b: 1": "z"}
    found = compare_each({"a": {"1": "x"}, "b": {"1": "z"}}, reference, partial=partial)
    assert found.differing == (() if partial else ("a: 2",))
    assert compare_each({"a": None}, reference, partial=True).equal is None
    assert compare_each({"a": {"1": "x"}}, None).equal is None


def shown(summary, width=110):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(result_table(summary))
    return console.export_text()


def test_the_table_of_working_sets_tells_what_dom0_computed(tmp_path):
    document = manifest("run", ("zram",))
    content = {**document.experiment.content, "workload": {"kind": "working-set"}}
    entry = document.experiment.model_copy(update={"content": content})
    with RunFolder.create(tmp_path, document.model_copy(update={"experiment": entry})) as folder:
        worked(folder)
        summary = finish_run(folder)
    assert verify_run(folder.path) == []
    wide, narrow = (shown(summary, width) for width in (140, 80))
    (row,) = (line.split() for line in wide.splitlines() if line.strip().startswith("zram"))
    time, memory = (line.split() for line in narrow.splitlines() if line.strip().startswith("zram"))
    assert row == [*time, *memory[1:]]
    assert row[1:8] == ["2", "x", "64", "172.2", "-", "-", "12.2"]
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    html = (folder.path / "report.html").read_text()
    assert "dom0 CPU, s" in html
    assert ">12.2<" in html


def test_cpu_time_that_was_not_had_is_no_zero(folder):
    worked(folder, dom0_cpu_seconds=None)
    summary = build_summary(read_run(folder.path))
    (row,) = baseline_rows(summary.variants)
    assert row.figures[COLUMNS.index("dom0 CPU, s")] == "-"


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
