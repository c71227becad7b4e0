"""What the oracle saw, kept page by page: figures, findings, table and report."""

from __future__ import annotations

import json
import re
from io import StringIO

import pytest
from pydantic import ValidationError
from rich.console import Console

from orchestrator.metrics import VariantSamples
from orchestrator.metrics.series import LOOK_BEGAN, LOOK_ENDED
from orchestrator.results import (
    OracleDomain,
    OracleFile,
    OracleMemory,
    OraclePages,
    OracleTable,
    RunFolder,
    finish_run,
    result_table,
    verify_run,
)
from orchestrator.results.completeness import sampling_figures
from orchestrator.results.oracle import oracle_figures, oracle_problems
from tests.unit.results.synthetic import mark, outcome, parsed, sample, write_run

LENGTHS = [100, 100, 120, 100, 130, 300, 300]
"""Three pages of domU1, two of domU2, and a block of the swap disk of each."""


def domain(name, references, charged, **changes):
    fields = {
        "name": name,
        "memory_bytes": 64 << 20,
        "paused_seconds": 1.2,
        "references": references,
        "charged_bytes": charged,
        "mark_held_pages": references,
        "mark_same_filled_pages": 2,
        "mark_swap_slots_used": references + 3,
    }
    return OracleDomain(**{**fields, **changes})


def file(**changes):
    fields = {
        "variant": "default",
        "dom0_seconds": 61.0,
        "seconds": 40.5,
        "chosen": "at_seconds",
        "looks": 1,
        "stopped_seconds": 2.0,
        "compressor": "lz4",
        "lost_pages": 0,
        "table": OracleTable(entries=3, payload_bytes=350),
        "counted": OracleTable(entries=3, payload_bytes=350),
        "domains": [domain("domU1", 3, 320), domain("domU2", 2, 230)],
        "pages": OraclePages(
            domain=[0, 0, 0, 1, 1, 0, 1],
            on_disk=[0, 0, 0, 0, 0, 1, 1],
            length=LENGTHS,
            exact=[0, 0, 1, 0, 2, 3, 3],
            pointers=[0, 0, 1, 0, 1, 2, 2],
        ),
        "memory": OracleMemory(pages=7, exact={1: 5, 2: 1}, pointers={1: 2, 5: 1},
                               equal_to_swapped=3),
    }  # fmt: skip
    return OracleFile(**{**fields, **changes})


def test_figures_of_a_small_example():
    found = oracle_figures(file())
    assert (found.charged_bytes, found.payload_bytes, found.saved_bytes) == (550, 350, 200)
    assert (found.held_pages, found.same_filled_pages) == (5, 4)
    assert found.logical_bytes == 9 * 4096
    assert (found.disk_pages, found.disk_pages_seen, found.coverage) == (2, 2, 1.0)
    exact, pointers = found.exact, found.pointers
    assert (exact.within_bytes, exact.between_bytes, exact.bytes) == (100, 400, 500)
    assert (exact.least_bytes, exact.efficiency) == (200, 0.4)
    assert (pointers.bytes, pointers.least_bytes) == (630, 330)
    assert pointers.efficiency == pytest.approx(200 / 630)
    assert found.reduction == exact.reduction == 1 - 350 / (9 * 4096)
    assert pointers.reduction == 1 - 220 / (9 * 4096)
    resident = found.resident
    assert (resident.bytes, resident.exact_bytes, resident.pointer_bytes) == (28672, 4096, 16384)


def test_what_is_not_known_is_null():
    unknown = domain("domU2", 2, 230, mark_same_filled_pages=None)
    found = oracle_figures(file(domains=[domain("domU1", 3, 320), unknown], memory=None))
    assert found.same_filled_pages is found.disk_pages is found.coverage is None
    assert found.reduction is found.exact.reduction is None
    assert found.resident is None
    nothing = OraclePages(domain=[], on_disk=[], length=[], exact=[], pointers=[])
    table = OracleTable(entries=0, payload_bytes=0)
    changes = {"pages": nothing, "table": table, "counted": table, "domains": []}
    found = oracle_figures(file(**changes, memory=None))
    assert found.exact.bytes == 0
    assert found.exact.efficiency is None
    assert found.coverage is None


def test_stale_blocks_do_not_make_more_of_the_pages_looked_at():
    few = domain("domU1", 3, 320, mark_swap_slots_used=5)
    assert oracle_figures(file(domains=[few, domain("domU2", 2, 230)])).coverage == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"domains": [domain("domU1", 4, 320), domain("domU2", 2, 230)]}, "the store counted 4"),
        ({"domains": [domain("domU1", 3, 321), domain("domU2", 2, 230)]}, "charged were 321"),
        ({"domains": [domain("domU1", 3, 320)]}, "a domain that is not listed"),
        ({"table": OracleTable(entries=3, payload_bytes=351)}, "350 bytes are kept, but"),
        (
            dict.fromkeys(("table", "counted"), OracleTable(entries=3, payload_bytes=349)),
            "take 350 bytes, more than",
        ),
        (
            {"pages": file().pages.model_copy(update={"pointers": [0, 3, 1, 0, 1, 2, 2]})},
            "not in one class",
        ),
        (
            {"memory": OracleMemory(pages=8, exact={1: 8}, pointers={2: 3}, equal_to_swapped=0)},
            r"classes \(pointers\) of 6 pages, but there are 8",
        ),
        (
            {"memory": OracleMemory(pages=1, exact={1: 1}, pointers={1: 1}, equal_to_swapped=2)},
            "more pages are equal to swapped ones",
        ),
    ],
)
def test_what_does_not_fit_together_is_found(changes, message):
    assert list(oracle_problems(file())) == []
    (found,) = oracle_problems(file(**changes))
    assert re.search(message, found)


def test_columns_are_equally_long():
    with pytest.raises(ValidationError, match="columns differ"):
        OraclePages(domain=[0], on_disk=[0], length=[], exact=[0], pointers=[0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = write_run(tmp_path_factory.mktemp("results"), steps=30)
    with RunFolder(path) as folder:
        folder.write_oracle(file())
        folder.write_variant(outcome("norandom", 0, oracle_missing="dom0 cannot"), None)
    return path, finish_run(RunFolder(path))


def test_a_run_with_an_oracle_is_found_to_be_right(finished):
    path, summary = finished
    assert verify_run(path) == []
    default, norandom = summary.variants
    assert default.oracle == oracle_figures(file())
    assert norandom.oracle is None
    assert any("not known: dom0 cannot" in warning for warning in norandom.warnings)


def test_a_figure_or_a_page_that_was_changed_is_found(finished, tmp_path):
    for source in finished[0].rglob("*"):
        if source.is_file():
            target = tmp_path / source.relative_to(finished[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    kept = tmp_path / "oracle/default.json"
    document = json.loads(kept.read_text())
    document["pages"]["pointers"][4] = 9
    kept.write_text(json.dumps(document))
    findings = verify_run(tmp_path)
    assert any("oracle.pointers.bytes is 630, but" in finding for finding in findings)
    document["pages"]["length"][0] = 99
    kept.write_text(json.dumps(document))
    assert any("oracle/default.json: domU1: 319" in one for one in verify_run(tmp_path))
    document["pages"]["extra"] = []
    kept.write_text(json.dumps(document))
    assert any("extra" in finding for finding in verify_run(tmp_path))


def test_the_table_and_the_report_say_it(finished):
    path, summary = finished
    console = Console(width=120, record=True, file=StringIO())
    console.print(result_table(summary))
    shown = console.export_text()
    assert "oracle, after" in shown
    assert "possible, pointers aside" in shown
    assert "40.0 %" in shown
    text = (path / "report.html").read_text()
    assert "How much sharing was possible" in text
    assert text.count("<svg") == 4, "Figure 2, the parts, one histogram, the ceiling"
    for words in ("40.0 %", "31.7 %", "4 KB", "16 KB"):
        assert words in text


def test_a_run_without_one_says_nothing_of_it(tmp_path):
    path = write_run(tmp_path, steps=10)
    finish_run(RunFolder(path))
    assert "How much sharing" not in (path / "report.html").read_text()


def test_the_time_for_which_the_machine_stood_is_no_gap_between_samples():
    def taken(*, noted):
        def note(one):
            return {2: LOOK_BEGAN, 4: LOOK_ENDED}.get(one) if noted else None

        times = [0.0, 0.5, 1.0, 4.0, 7.0, 7.5]
        samples = [
            sample("default", at, [] if n == 3 else [parsed(mark(n))], note=note(n))
            for n, at in enumerate(times)
        ]
        return sampling_figures(VariantSamples("default", samples))

    assert taken(noted=True).longest_interval_seconds == 0.5
    assert taken(noted=False).longest_interval_seconds == 6.0
