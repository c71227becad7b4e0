"""What makes a run INVALID, and that a failure keeps its own name."""

from __future__ import annotations

import json

import pytest

from orchestrator.metrics.records import parse_record
from orchestrator.results import RunFolder, read_run
from orchestrator.results.build import build_summary
from orchestrator.results.digests import compare_digests
from orchestrator.results.verdict import judge_run
from tests.unit.results.synthetic import OBJECTS, manifest, mark, outcome, parsed, peak_of, sample


@pytest.fixture
def run(tmp_path):
    def run(records=None, *, events=(), **changes):
        records = [mark(0), mark(1, domain="domU2")] if records is None else records
        with RunFolder.create(tmp_path, manifest("run", ("default",))) as folder:
            read = [parsed(record) for record in records] + list(events)
            folder.append_sample(sample("default", 1.0, read))
            peak = peak_of(records[0]) if records else None
            folder.write_variant(outcome("default", 2, **changes), peak)
            return build_summary(read_run(folder.path))

    return run


def test_all_is_well(run):
    summary = run()
    assert (summary.verdict, summary.reasons) == ("OK", [])


def test_open_books(run):
    summary = run([mark(0), mark(1, overrides={"books.references": 7})])
    assert summary.verdict == "INVALID"
    assert "7 references" in summary.reasons[0]
    variant = summary.variants[0]
    assert variant.books_closed is False
    assert variant.books.first_open_sequence == 1


def test_open_books_outrank_a_failure(run):
    summary = run(
        [mark(0, overrides={"books.closed": False})], verdict="GUEST_PANIC", reason="Oops"
    )
    assert summary.verdict == "INVALID"
    assert any("Oops" in reason for reason in summary.reasons)


@pytest.mark.parametrize("verdict", ["WORKLOAD_FAILED", "GUEST_PANIC", "GUEST_HUNG"])
def test_a_failure_keeps_its_name(run, verdict):
    summary = run(verdict=verdict, reason="last lines of the console", reference_digests=None)
    assert summary.verdict == verdict
    assert summary.reasons == ["default: last lines of the console"]
    assert summary.variants[0].reduction is not None, "what was measured is still told"


def test_objects_that_differ(run):
    wrong = {**OBJECTS, "lib/vsprintf.o": "0" * 64}
    summary = run(reference_digests=wrong)
    assert summary.verdict == "INVALID"
    assert "domU1: lib/vsprintf.o" in summary.reasons[0]
    assert summary.variants[0].digests_equal is False


def test_no_run_to_compare_with(run):
    summary = run(reference_digests=None)
    assert summary.verdict == "INVALID"
    assert "no run without swap" in summary.reasons[0]
    assert summary.variants[0].digests_equal is None


def test_a_page_that_came_back_damaged(run):
    summary = run([mark(0, overrides={"counters.load_error_corrupt": 2})])
    assert summary.verdict == "INVALID"
    assert "came back damaged (load_error_corrupt = 2)" in summary.reasons[0]


def test_a_violation(run):
    line = {"kind": "event", "sequence": 2, "dom0_seconds": 101.0, "domain": "domU1"}
    event = parse_record(json.dumps({**line, "event": "violation", "detail": "bad op"}))
    summary = run(events=[event])
    assert summary.verdict == "INVALID"
    assert "bad op" in summary.reasons[0]


def test_nothing_measured_is_null_and_never_zero(run):
    summary = run([])
    assert summary.verdict == "INVALID"
    variant = summary.variants[0].model_dump()
    for name in ("reduction", "payload_bytes", "footprint_bytes", "coverage", "books_closed"):
        assert variant[name] is None
    assert variant["peak"] is None
    assert variant["service"] is None
    assert variant["domains"][0]["logical_bytes_peak"] is None
    assert variant["domains"][0]["counters"] is None


def test_a_variant_that_did_not_run():
    assert judge_run(["a", "b"], {"a": ("OK", [])}) == ("INFRA_FAILED", ["b: did not run"])
    assert judge_run(["a"], {}) == ("INFRA_FAILED", ["a: did not run"])
    verdict, reasons = judge_run(["a", "b"], {"a": ("GUEST_HUNG", ["no answer"])})
    assert verdict == "GUEST_HUNG"
    assert reasons == ["a: no answer", "b: did not run"]


def test_digests_compare_the_domains_even_without_a_reference():
    other = {**OBJECTS, "lib/vsprintf.o": "0" * 64}
    compared = compare_digests({"domU1": OBJECTS, "domU2": other}, None)
    assert compared.equal is False
    assert compared.differing == ("domU2: lib/vsprintf.o",)
    assert compare_digests({"domU1": OBJECTS, "domU2": OBJECTS}, None).equal is None
    assert compare_digests({"domU1": OBJECTS, "domU2": None}, OBJECTS).equal is None
    assert compare_digests({"domU1": OBJECTS}, OBJECTS).equal is True
    assert compare_digests({}, OBJECTS).equal is None


def test_an_object_that_is_missing_is_a_difference():
    fewer = {"lib/vsprintf.o": "b" * 64}
    assert compare_digests({"domU1": fewer}, OBJECTS).differing == ("domU1: kernel/sched/core.o",)
    assert compare_digests({"domU1": OBJECTS}, fewer).differing == ("domU1: kernel/sched/core.o",)
