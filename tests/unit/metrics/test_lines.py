"""Records come out of chunks whole, and what is missing between them is noticed."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.metrics.lines import RecordStream
from orchestrator.metrics.records import EventRecord, parse_record
from orchestrator.metrics.samples import GapKind
from tests.unit.results.synthetic import mark

LINES = "".join(json.dumps(mark(sequence)) + "\n" for sequence in range(4))


@given(st.lists(st.integers(0, len(LINES)), max_size=12))
def test_cuts_do_not_matter(cuts):
    stream, records, gaps = RecordStream(), [], []
    places = [0, *sorted(cuts), len(LINES)]
    for begin, end in pairwise(places):
        some, missing = stream.feed(LINES[begin:end])
        records += some
        gaps += missing
    assert [record.sequence for record in records] == [0, 1, 2, 3]
    assert gaps == []


def test_lost_records_are_counted():
    text = "".join(json.dumps(mark(sequence)) + "\n" for sequence in (3, 4, 9))
    records, gaps = RecordStream().feed(text)
    assert len(records) == 3
    assert [(gap.kind, gap.records) for gap in gaps] == [(GapKind.LOST, 4)]


def test_a_service_that_began_anew_is_not_a_loss():
    text = "".join(json.dumps(mark(sequence)) + "\n" for sequence in (7, 8, 0, 1))
    records, gaps = RecordStream().feed(text)
    assert len(records) == 4
    assert [gap.kind for gap in gaps] == [GapKind.RESTARTED]


def test_a_line_cut_by_an_overrun_is_one_gap_and_the_rest_is_kept():
    half = json.dumps(mark(1))[200:]
    text = f"{half}\n{json.dumps(mark(2))}\nnot json\n{json.dumps(mark(3))}\n"
    records, gaps = RecordStream().feed(text)
    assert [record.sequence for record in records] == [2, 3]
    assert [gap.kind for gap in gaps] == [GapKind.MALFORMED, GapKind.MALFORMED]


def test_a_stream_without_line_ends_does_not_grow_for_ever():
    stream = RecordStream()
    _, gaps = stream.feed("x" * 200_000)
    assert [gap.kind for gap in gaps] == [GapKind.MALFORMED]
    records, _ = stream.feed(json.dumps(mark(0)) + "\n")
    assert len(records) == 1


def test_new_keys_are_kept_and_missing_ones_refused():
    record = mark(0)
    record["table"]["fragments"] = 7
    read = parse_record(json.dumps(record))
    assert read.model_dump()["table"]["fragments"] == 7
    del record["table"]["payload_bytes"]
    assert parse_record(json.dumps(record)) is None
    assert parse_record("[]") is None
    assert parse_record(json.dumps({**mark(0), "kind": "other"})) is None


def test_events_are_read():
    line = {"kind": "event", "sequence": 0, "dom0_seconds": 1.5, "domain": "domU1"}
    read = parse_record(json.dumps({**line, "event": "connected", "detail": ""}))
    assert isinstance(read, EventRecord)
