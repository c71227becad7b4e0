"""The report and the table show what the folder holds, and need nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from orchestrator.results import RunFolder, finish_run, result_table, verify_run
from orchestrator.results.report import render_figure2, render_report
from tests.unit.results.synthetic import manifest, mark, outcome, parsed, peak_of, sample, write_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = write_run(tmp_path_factory.mktemp("results"), steps=30)
    return path, finish_run(RunFolder(path))


class Tags(HTMLParser):
    """Collects every tag and address of a page, and whether tags are closed."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.addresses = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.addresses += [v for k, v in attrs if k in ("href", "src", "xlink:href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone(finished):
    text = (finished[0] / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.addresses == []
    assert "script" not in tags.seen
    assert "@import" not in text
    assert "url(" not in text


def test_the_page_shows_what_it_must(finished):
    path, summary = finished
    text = (path / "report.html").read_text()
    for variant in summary.variants:
        assert variant.title in text
        assert f"{variant.reduction:.1%}".replace("%", " %") in text
        assert f"{variant.payload_bytes / 1024:,.0f} KB" in text
    for words in ("Figure 2", "page id", "sharing domains", "length", "books closed", "Manifest"):
        assert words in text
    assert text.count("<svg") == 4, "Figure 2, the parts, and a histogram for each variant"
    assert "qemu-system-aarch64 -M virt" in text
    assert "0001-synthetic.patch" in text
    assert "1,900 µs" in text


def test_it_can_be_made_again_from_the_folder(finished):
    path, _ = finished
    before = (path / "report.html").read_text()
    (path / "report.html").unlink()
    assert render_report(path).read_text() == before


def test_what_comes_from_outside_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    with RunFolder.create(tmp_path, manifest("run", ("default",))) as folder:
        folder.event("boot", {"what": evil})
        folder.append_sample(sample("default", 0.0, [parsed(mark(0))]))
        file = outcome("default", 2, title=evil, verdict="GUEST_PANIC", reason=evil)
        folder.write_variant(file, peak_of(mark(0)))
        finish_run(folder)
    assert "<script" not in (folder.path / "report.html").read_text()


def test_a_run_that_measured_nothing_still_has_a_report(tmp_path):
    with RunFolder.create(tmp_path, manifest("run")) as folder:
        folder.write_variant(
            outcome("default", 2, verdict="INFRA_FAILED", reason="QEMU ended\nlast line"), None
        )
        summary = finish_run(folder)
    assert verify_run(folder.path) == [], "a failed run's folder is complete too"
    text = (folder.path / "report.html").read_text()
    assert "last line" in text
    assert "could not be read" in text
    assert not re.search(r"\bNone\b|\bnan\b", re.sub(r"<pre>.*?</pre>", "", text, flags=re.S))
    shown = plain(summary)
    assert "INFRA_FAILED" in shown
    assert " 0.0 %" not in shown


def test_figure_2_can_be_taken_out(finished, tmp_path):
    path, _ = finished
    svg = render_figure2(path, tmp_path / "figure2.svg").read_text()
    assert svg.startswith("<svg")
    for words in ("domU1, swapped", "domU2, swapped", "dom0, payload", "paper 2,700"):
        assert words in svg
    png = render_figure2(path, tmp_path / "figure2.png").read_bytes()
    assert png.startswith(b"\x89PNG")


def plain(summary):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(result_table(summary))
    return console.export_text()


def test_the_table_has_the_papers_column(finished):
    text = plain(finished[1])
    rows = {line[:40].strip(): line for line in text.splitlines()}
    assert "5,000 KB" in rows["domU1, swapped (logical)"]
    assert "6,000 KB" in rows["domU2, swapped (logical)"]
    assert "2,700 KB" in rows["dom0, payload"]
    assert "75.0 %" in rows["reduction"]
    for part in ("same-filled pages", "compression", "sharing inside a domU"):
        assert part in rows
    assert "sharing between domUs" in rows
    assert "net reduction (of footprint)" in rows
    assert "verdict: OK" in text
