"""What the real store writes, read by the real analysis: both sides of the wire agree."""

from __future__ import annotations

import json

import pytest

from orchestrator.metrics import decompose
from orchestrator.metrics.lines import RecordStream
from orchestrator.results import RunFolder, finish_run, verify_run
from tests.unit.results.synthetic import manifest, outcome, sample
from tests.unit.store.support import Bench


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def payload(seed):
    return bytes([seed]) * 1000


def test_a_run_of_the_store_gives_the_figures_that_were_put_in(bench, tmp_path):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    told = {"frontend_bytes": 70_000, "swap_slots_used": 20}
    two.mark(held_pages=0, **told)
    for n in range(10):
        one.store(n, payload(n % 8))  # two of them equal others of its own
        two.store(n, payload(n + 5))  # three of them equal domU1's
    one.mark(held_pages=10, same_filled_pages=4, **told)
    two.mark(held_pages=10, same_filled_pages=6, **told)
    peak = json.loads(json.dumps(bench.store.peak.report()))
    one.invalidate_area(0)
    one.mark(held_pages=0, **told)

    records, gaps = RecordStream().feed(bench.config.records.read_text())
    assert gaps == []
    with RunFolder.create(tmp_path / "results", manifest("run", ("default",))) as folder:
        folder.append_sample(sample("default", 1.0, records))
        folder.write_variant(outcome("default", 2), peak)
        summary = finish_run(folder)
    assert verify_run(folder.path) == []
    assert summary.verdict == "OK", summary.reasons

    variant = summary.variants[0]
    logical = 30 * 4096
    assert variant.logical_bytes == logical
    assert variant.payload_bytes == 15_000
    assert variant.same_filled == pytest.approx(10 * 4096 / logical)
    assert variant.compression == pytest.approx(20 * (4096 - 1000) / logical)
    assert variant.sharing_within == pytest.approx(2000 / logical)
    assert variant.sharing_between == pytest.approx(3000 / logical)
    assert variant.coverage == pytest.approx(30 / 40)
    assert variant.frontend_bytes == 140_000
    assert variant.sharing_histogram == {"1": 12, "2": 3}


def test_before_the_first_mark_of_a_domain_its_figures_are_null(bench):
    one, two = bench.connect("domU1"), bench.connect("domU2")
    two.store(1, payload(1))
    one.mark(held_pages=0, frontend_bytes=70_000)
    records, gaps = RecordStream().feed(bench.config.records.read_text())
    assert gaps == []
    parts = decompose(records[-1])
    assert parts.logical_bytes == 4096
    assert parts.net_reduction is None
