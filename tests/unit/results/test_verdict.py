"""What makes a run INVALID, and that a failure keeps its own name."""

from __future__ import annotations

import json

import pytest

from orchestrator.metrics.records import parse_record
from orchestrator.results import (
    ChurnFigures,
    DomainOutcome,
    FaultOutcome,
    HostileFigures,
    PageStreamFigures,
    RunFolder,
    read_run,
)
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


def test_what_the_service_did_is_counted_between_the_first_mark_and_the_last(run):
    service = run([mark(2), mark(3, domain="domU2"), mark(6)]).variants[0].service
    assert (service.requests, service.looked_pages) == (4000, 160)
    assert service.look_seconds == pytest.approx(0.04)


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


def made(kind="kernel-compile"):
    """Two domUs that made one thing each, another one the one than the other."""
    return [
        DomainOutcome(name=name, workload=kind, digests={item: digest * 64})
        for name, item, digest in (("domU1", "lib/idr.o", "a"), ("domU2", "lib/sort.o", "b"))
    ]


OWN = {"domU1: lib/idr.o": "a" * 64, "domU2: lib/sort.o": "b" * 64}


def test_each_domain_has_objects_of_its_own(run):
    summary = run(domains=made(), own_digests=True, reference_digests=OWN)
    assert (summary.verdict, summary.variants[0].digests.objects) == ("OK", 2)


def test_another_domains_object_is_not_the_right_one(run):
    wrong = {**OWN, "domU2: lib/sort.o": "c" * 64}
    summary = run(domains=made(), own_digests=True, reference_digests=wrong)
    assert summary.verdict == "INVALID"
    assert "domU2: lib/sort.o" in summary.reasons[0]


@pytest.mark.parametrize(
    ("reference", "verdict"), [("a" * 64, "OK"), ("b" * 64, "INVALID"), (None, "INVALID")]
)
def test_what_a_script_prints_is_compared_like_objects(run, reference, verdict):
    domains = [one.model_copy(update={"digests": {"output": "a" * 64}}) for one in made("script")]
    right = reference and {"output": reference}
    assert run(domains=domains, reference_digests=right).verdict == verdict


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


def test_a_variant_that_was_expected_to_fail():
    expected = {"a": "WORKLOAD_FAILED"}
    fine = {"a": ("WORKLOAD_FAILED", ["make ended with status 2"]), "b": ("OK", [])}
    assert judge_run(["a", "b"], fine, expected) == ("OK", [])
    verdict, reasons = judge_run(["a"], {"a": ("OK", [])}, expected)
    assert verdict == "INVALID"
    assert reasons == ["a: expected WORKLOAD_FAILED, but it ended well"]
    hung = {"a": ("GUEST_HUNG", ["no answer"])}
    assert judge_run(["a"], hung, expected) == ("GUEST_HUNG", ["a: no answer"])
    wrong = {"a": ("INVALID", ["objects differ"])}
    assert judge_run(["a"], wrong, expected) == ("INVALID", ["a: objects differ"])


FAILS = {"verdict": "WORKLOAD_FAILED", "reason": "make ended", "expect": "WORKLOAD_FAILED"}


def test_an_expected_failure_keeps_its_verdict_and_the_run_is_good(run):
    timeouts = {"counters.load_error_timeout": 3, "counters.load_error_lost": 1}
    summary = run([mark(0, overrides=timeouts)], **FAILS)
    assert (summary.verdict, summary.reasons) == ("OK", [])
    variant = summary.variants[0]
    assert (variant.verdict, variant.expect) == ("WORKLOAD_FAILED", "WORKLOAD_FAILED")
    assert variant.reasons == ["make ended"]


def test_a_timeout_that_was_not_expected(run):
    assert run([mark(0, overrides={"counters.load_error_timeout": 3})]).verdict == "INVALID"


def test_wrong_bytes_are_never_expected(run):
    summary = run([mark(0, overrides={"counters.load_error_corrupt": 1})], **FAILS)
    assert summary.verdict == "INVALID"
    assert "came back damaged" in summary.reasons[0]


def test_a_failed_build_lacks_objects_but_those_that_exist_are_right(run):
    built = {"lib/vsprintf.o": "b" * 64}
    domains = [DomainOutcome(name=name, digests=built) for name in ("domU1", "domU2")]
    assert run(domains=domains, **FAILS).verdict == "OK"


def test_a_failed_build_with_a_wrong_object(run):
    wrong = {"lib/vsprintf.o": "0" * 64}
    domains = [DomainOutcome(name=name, digests=wrong) for name in ("domU1", "domU2")]
    summary = run(domains=domains, **FAILS)
    assert summary.verdict == "INVALID"
    assert "objects differ: domU1: lib/vsprintf.o" in summary.reasons[0]


def test_what_was_seen_while_it_ran_outranks_a_good_end(run):
    summary = run(problems=["after kill-store 7, the store finds: a page is damaged"])
    assert summary.verdict == "INVALID"
    assert "kill-store 7" in summary.reasons[0]


def test_a_loss_before_a_domain_was_created_anew_counts(run):
    lost = mark(0, overrides={"counters.load_error_lost": 2})
    summary = run([lost, mark(1), mark(2, domain="domU2")])
    assert summary.verdict == "INVALID"
    assert "load_error_lost = 2" in summary.reasons[0]


def test_faults_and_builds_are_counted_and_the_pager_builds_nothing(run):
    struck = [
        FaultOutcome(
            kind="kill-store", number=n, host_seconds=n, seconds=3, recovery_seconds=1, done="x"
        )
        for n in (1, 2)
    ]
    pager = DomainOutcome(name="victim", workload="pages", rounds=12)
    domains = [*outcome("default", 2).domains, pager]
    summary = run(faults=struck, builds=4, domains=domains)
    assert (summary.verdict, summary.reasons) == ("OK", [])
    variant = summary.variants[0]
    assert (variant.faults, variant.builds) == ({"kill-store": 2}, 4)
    assert [one.rounds for one in variant.domains] == [None, None, 12]
    assert variant.digests_equal is True


def stream(**changes):
    fields = dict.fromkeys(PageStreamFigures.model_fields, 10)
    figures = PageStreamFigures(**{**fields, "mismatches": 0, **changes})
    return [DomainOutcome(name="domU1", workload="page-stream", page_stream=figures)]


def test_a_stream_without_the_store_has_no_books_to_close(run):
    summary = run([], swap="zram", domains=stream(), reference_digests=None)
    assert (summary.verdict, summary.reasons) == ("OK", [])
    assert summary.variants[0].warnings == []


def test_a_stream_through_the_store_has(run):
    summary = run([], domains=stream(), reference_digests=None)
    assert summary.verdict == "INVALID"
    assert "no MARK arrived" in summary.reasons[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"mismatches": 2}, "2 pages came back different"), ({"in_pages": 0}, "nothing to measure")],
)
def test_a_stream_that_proves_nothing(run, changes, said):
    summary = run([], swap="disk", domains=stream(**changes), reference_digests=None)
    assert summary.verdict == "INVALID"
    assert said in summary.reasons[0]


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


def churn(**changes):
    fields = {"rounds": 9, "pages": 900, "errors": 0, "mismatches": 0} | changes
    return [DomainOutcome(name="domU1", workload="churn", churn=ChurnFigures(**fields))]


def lies(**changes):
    fields = {
        "seed": 1,
        "starts": 5,
        "connections": 4,
        "left": 3,
        "answers": 400,
        "lies": {"told-twice": 40},
        "counters": {"protocol_errors": 3, "load_error_corrupt": 20},
    }
    return HostileFigures(**fields | changes)


def test_a_churn_closes_its_books_and_compares_no_objects(run):
    assert run(domains=churn(), reference_digests=None).verdict == "OK"


def test_a_churn_without_books_proves_nothing(run):
    summary = run([], domains=churn(), reference_digests=None)
    assert summary.reasons == ["default: no MARK arrived, so the books could not be checked"]


def test_a_churn_that_was_lied_to_may_lose_pages(run):
    good = run([], domains=churn(errors=500), hostile=lies(), reference_digests=None)
    assert (good.verdict, good.reasons) == ("OK", [])
    assert good.variants[0].hostile == lies()
    assert good.variants[0].warnings == []


def test_but_not_change_them(run):
    bad = run([], domains=churn(mismatches=1), hostile=lies(), reference_digests=None)
    assert bad.verdict == "INVALID"
    assert bad.reasons == ["default: domU1: 1 pages came back different"]


@pytest.mark.parametrize(
    ("domains", "told", "said"),
    [
        (churn(errors=900), lies(), "no page went out and came back equal"),
        (churn(), lies(lies={}), "no lie was told"),
        (churn(), lies(left=0), "the frontend noticed none"),
    ],
)
def test_lies_that_prove_nothing(run, domains, told, said):
    summary = run([], domains=domains, hostile=told, reference_digests=None)
    assert summary.verdict == "INVALID"
    assert said in summary.reasons[0]


def test_what_a_kernel_reported_proves_the_run_wrong(run):
    problem = "domU1: kernel report: BUG: KASAN: use-after-free"
    summary = run([], domains=churn(), hostile=lies(), problems=[problem], reference_digests=None)
    assert summary.verdict == "INVALID"
    assert summary.reasons == [f"default: {problem}"]
