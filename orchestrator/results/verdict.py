"""Whether a run's figures may be believed.

What proves them wrong (open books, different objects, a page that was lost)
makes the run INVALID however it ended. What merely failed keeps its own
verdict. Where all went well but the proof is missing, it is INVALID too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.metrics.analysis import BooksCheck
from orchestrator.metrics.records import EventRecord
from orchestrator.results.digests import DigestComparison
from orchestrator.results.outcome import VariantOutcome, Verdict

__all__ = ["LOSSES", "judge", "judge_run"]

LOSSES: Mapping[str, str] = {
    "load_error_lost": "pages were lost with a connection",
    "load_error_timeout": "loads got no answer from the store",
    "load_error_status": "the store answered loads with an error",
    "load_error_corrupt": "pages came back damaged",
    "protocol_errors": "the store broke the protocol",
}


def judge(
    outcome: VariantOutcome,
    books: BooksCheck,
    digests: DigestComparison,
    counters: Mapping[str, Mapping[str, int]],
    events: Iterable[EventRecord],
    *,
    peak_known: bool,
) -> tuple[Verdict, list[str]]:
    """One variant's verdict and the reasons for it, empty when it is OK.

    Args:
        outcome: how the runner saw it end.
        books: the check over all MARKs.
        digests: the comparison of what was built.
        counters: each domU's counters at its last MARK.
        events: the store's events.
        peak_known: whether there was anything swapped out to measure.
    """
    wrong = _proof_against(books, digests, counters, events)
    failed = [outcome.reason or "no reason was given"] if outcome.verdict != "OK" else []
    if wrong:
        return "INVALID", wrong + failed
    if failed:
        return outcome.verdict, failed
    missing = _proof_missing(books, digests, peak_known)
    return ("INVALID", missing) if missing else ("OK", [])


def judge_run(
    planned: Sequence[str], judged: Mapping[str, tuple[Verdict, Sequence[str]]]
) -> tuple[Verdict, list[str]]:
    """The whole run's verdict: INVALID before any other failure, in the order of the variants."""
    reasons = [f"{name}: {reason}" for name, (_, why) in judged.items() for reason in why]
    reasons += [f"{name}: did not run" for name in planned if name not in judged]
    verdicts = [verdict for verdict, _ in judged.values()]
    if "INVALID" in verdicts:
        return "INVALID", reasons
    failed = next((verdict for verdict in verdicts if verdict != "OK"), None)
    if failed is not None:
        return failed, reasons
    complete = bool(judged) and all(name in judged for name in planned)
    return ("OK", []) if complete else ("INFRA_FAILED", reasons or ["no variant ran"])


def _proof_against(
    books: BooksCheck,
    digests: DigestComparison,
    counters: Mapping[str, Mapping[str, int]],
    events: Iterable[EventRecord],
) -> list[str]:
    reasons = []
    if books.first_open is not None:
        at, tally = books.first_open, books.first_open.books
        reasons.append(
            f"the books do not close at MARK {at.sequence} of {at.domain}: it holds "
            f"{tally.held_pages} pages and the table counts {tally.references} references; "
            f"the table holds {tally.table_bytes} bytes and the arena has given out "
            f"{tally.arena_bytes}"
        )
    if digests.differing:
        shown = ", ".join(digests.differing[:4])
        more = f" and {len(digests.differing) - 4} more" if len(digests.differing) > 4 else ""
        reasons.append(f"objects differ: {shown}{more}")
    for name, counts in counters.items():
        reasons += [
            f"{name}: {meaning} ({counter} = {counts[counter]})"
            for counter, meaning in LOSSES.items()
            if counts.get(counter)
        ]
    reasons += [
        f"{event.domain}: broke the protocol: {event.detail}"
        for event in events
        if event.event == "violation"
    ]
    return reasons


def _proof_missing(books: BooksCheck, digests: DigestComparison, peak_known: bool) -> list[str]:
    reasons = []
    if books.closed is None:
        reasons.append("no MARK arrived, so the books could not be checked")
    elif not peak_known:
        reasons.append("no domU swapped anything out, so there is nothing to measure")
    if digests.equal is None:
        what = (
            "not every domU's objects have digests"
            if digests.reference
            else "there is no run without swap to compare the objects with"
        )
        reasons.append(f"the objects could not be compared: {what}")
    return reasons
