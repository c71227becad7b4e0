"""Whether a run's figures may be believed.

What proves them wrong (open books, different objects, a page that was lost)
makes the run INVALID however it ended. What merely failed keeps its own
verdict. Where all went well but the proof is missing, it is INVALID too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.experiment.workload import CHECKED, MAKING
from orchestrator.metrics.analysis import BooksCheck
from orchestrator.metrics.records import EventRecord
from orchestrator.results.digests import DigestComparison
from orchestrator.results.outcome import VariantOutcome, Verdict

__all__ = ["LOSSES", "Proof", "judge", "judge_run"]

LOSSES: Mapping[str, str] = {
    "load_error_lost": "pages were lost with a connection",
    "load_error_timeout": "loads got no answer from the store",
    "load_error_status": "the store answered loads with an error",
    "load_error_corrupt": "pages came back damaged",
    "protocol_errors": "the store broke the protocol",
}
WRONG_WHATEVER_IS_EXPECTED = frozenset({"load_error_corrupt", "protocol_errors"})
"""A process that gets an error in place of its page may be what was expected; wrong
bytes never are."""


@dataclass(frozen=True)
class Proof:
    """What was measured, as far as a verdict rests on it."""

    books: BooksCheck
    """Over all MARKs."""
    digests: DigestComparison
    """Of what was built."""
    counters: Mapping[str, Mapping[str, int]]
    """The most that each domU counted at any MARK: a domU that was created anew
    counts from 0 again."""
    events: Sequence[EventRecord]
    """The store's."""
    peak_known: bool
    """Whether there was anything swapped out to measure."""
    swapped: bool = False
    """Whether, where there is no store, the domUs swapped at all."""


def judge(outcome: VariantOutcome, proof: Proof) -> tuple[Verdict, list[str]]:
    """One variant's verdict and the reasons for it, empty when it is OK.

    Args:
        outcome: how the runner saw it end.
    """
    wrong = _proof_against(outcome, proof)
    failed = [outcome.reason or "no reason was given"] if outcome.verdict != "OK" else []
    if wrong:
        return "INVALID", wrong + failed
    if failed:
        return outcome.verdict, failed
    missing = _proof_missing(outcome, proof)
    return ("INVALID", missing) if missing else ("OK", [])


def judge_run(
    planned: Sequence[str],
    judged: Mapping[str, tuple[Verdict, Sequence[str]]],
    expected: Mapping[str, Verdict] | None = None,
) -> tuple[Verdict, list[str]]:
    """The whole run's verdict: INVALID before any other failure, in the order of the variants.

    Args:
        expected: how variants had to end, where not with OK. One that ended so is
            good, and one that ended well all the same is INVALID.
    """
    verdicts: list[Verdict] = []
    reasons: list[str] = []
    for name, (verdict, why) in judged.items():
        wanted = (expected or {}).get(name, "OK")
        if verdict == wanted:
            verdicts.append("OK")
        elif verdict == "OK":
            verdicts.append("INVALID")
            reasons.append(f"{name}: expected {wanted}, but it ended well")
        else:
            verdicts.append(verdict)
            reasons += [f"{name}: {reason}" for reason in why]
    reasons += [f"{name}: did not run" for name in planned if name not in judged]
    if "INVALID" in verdicts:
        return "INVALID", reasons
    failed = next((verdict for verdict in verdicts if verdict != "OK"), None)
    if failed is not None:
        return failed, reasons
    complete = bool(judged) and all(name in judged for name in planned)
    return ("OK", []) if complete else ("INFRA_FAILED", reasons or ["no variant ran"])


def _proof_against(outcome: VariantOutcome, proof: Proof) -> list[str]:
    reasons = list(outcome.problems)
    if proof.books.first_open is not None:
        at, tally = proof.books.first_open, proof.books.first_open.books
        reasons.append(
            f"the books do not close at MARK {at.sequence} of {at.domain}: it holds "
            f"{tally.held_pages} pages and the table counts {tally.references} references; "
            f"the table holds {tally.table_bytes} bytes and the arena has given out "
            f"{tally.arena_bytes}"
        )
    if differing := proof.digests.differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        what = "what rounds read differs" if outcome.worked else "objects differ"
        reasons.append(f"{what}: {', '.join(differing[:4])}{more}")
    if outcome.hostile is not None:
        return reasons + _churned_wrong(outcome)  # the rest is what lies are for
    for name, counts in proof.counters.items():
        reasons += [
            f"{name}: {meaning} ({counter} = {counts[counter]})"
            for counter, meaning in LOSSES.items()
            if counts.get(counter)
            and (outcome.expect == "OK" or counter in WRONG_WHATEVER_IS_EXPECTED)
        ]
    reasons += [
        f"{domain.name}: {domain.page_stream.mismatches} pages came back different"
        for domain in outcome.domains
        if domain.page_stream and domain.page_stream.mismatches
    ]
    reasons += _churned_wrong(outcome)
    reasons += [
        f"{event.domain}: broke the protocol: {event.detail}"
        for event in proof.events
        if event.event == "violation"
    ]
    return reasons


def _churned_wrong(outcome: VariantOutcome) -> list[str]:
    return [
        f"{domain.name}: {domain.churn.mismatches} pages came back different"
        for domain in outcome.domains
        if domain.churn and domain.churn.mismatches
    ]


def _proof_missing(outcome: VariantOutcome, proof: Proof) -> list[str]:
    """What must be known of a variant that ended well, by what it did."""
    reasons = _churn_missing(outcome)
    if outcome.hostile is not None:
        return reasons
    if outcome.swap == "pageshare":
        if proof.books.closed is None:
            reasons.append("no MARK arrived, so the books could not be checked")
        elif not proof.peak_known:
            reasons.append("no domU swapped anything out, so there is nothing to measure")
    reasons += _swap_missing(outcome, proof)
    streams = [one for one in outcome.domains if one.workload == "page-stream"]
    reasons += [
        f"{one.name}: no page went out and came back, so there is nothing to measure"
        for one in streams
        if one.page_stream is None or not (one.page_stream.out_pages and one.page_stream.in_pages)
    ]
    if outcome.worked:
        if proof.digests.equal is None:
            reasons.append("what the rounds read could not be compared: digests are missing")
        return reasons
    made = [one for one in outcome.domains if one.workload in MAKING]
    if proof.digests.equal is None and (made or not outcome.domains):
        what = (
            "not every domU's objects have digests"
            if proof.digests.reference
            else "there is no run without swap to compare the objects with"
        )
        reasons.append(f"the objects could not be compared: {what}")
    return reasons


def _swap_missing(outcome: VariantOutcome, proof: Proof) -> list[str]:
    """Of work without a store: that pages went where the variant says."""
    if outcome.swap == "pageshare" or not any(one.workload in CHECKED for one in outcome.domains):
        return []
    if outcome.swap == "none":
        return ["a domU swapped, which it must not"] if proof.swapped else []
    if not proof.swapped:
        return ["no domU swapped anything out, so there is nothing to measure"]
    if outcome.swap != "disk" and not proof.peak_known:
        return [f"no page was kept by {outcome.swap}, so there is nothing to measure"]
    return []


def _churn_missing(outcome: VariantOutcome) -> list[str]:
    churned = [one for one in outcome.domains if one.workload == "churn"]
    reasons = [
        f"{one.name}: no page went out and came back equal"
        for one in churned
        if one.churn is None or one.churn.pages <= one.churn.errors
    ]
    if outcome.hostile is not None and not (outcome.hostile.lies and outcome.hostile.left):
        reasons.append("no lie was told, or the frontend noticed none")
    return reasons
