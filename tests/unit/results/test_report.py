"""The report and the table show what the folder holds, and need nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from orchestrator.results import (
    ChurnFigures,
    DomainOutcome,
    FaultOutcome,
    HostileFigures,
    PageStreamFigures,
    RunFolder,
    finish_run,
    read_run,
    result_table,
    verify_run,
)
from orchestrator.results.charts import figure2_svg
from orchestrator.results.report import figure2_panels, render_figure2, render_report
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


def plain(summary, width=100):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(result_table(summary))
    return console.export_text()


def test_many_panels_are_no_smaller_than_two(finished):
    run = read_run(finished[0])
    panels = figure2_panels(run, finished[1])
    pictures = [figure2_svg(panels * times) for times in (1, 2)]
    (width, height), (wide, high) = (
        map(float, re.search(r'<svg[^>]* width="([0-9.]+)" height="([0-9.]+)"', one).groups())
        for one in pictures
    )
    assert wide < 1.05 * width
    assert high > 1.8 * height


def test_the_table_has_the_papers_column(finished):
    text = plain(finished[1])
    rows = {line[:31].strip(): line for line in text.splitlines()}
    assert "5,000 KB" in rows["domU1, swapped (logical)"]
    assert "6,000 KB" in rows["domU2, swapped (logical)"]
    assert "2,700 KB" in rows["dom0, payload"]
    assert "75.0 %" in rows["reduction"]
    for part in ("same-filled pages", "compression", "sharing inside a domU"):
        assert part in rows
    assert "sharing between domUs" in rows
    assert "net reduction (of footprint)" in rows
    assert "verdict: OK" in text


def figures_of(text, name):
    return next(line[31:].split() for line in text.splitlines() if line[:31].strip() == name)


def test_the_table_fits_into_80_columns_and_cuts_nothing(finished):
    text = plain(finished[1], width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    head = text[: text.index("─")]
    words = head.split()
    for word in ("address", "randomisation", "on", "off", "paper"):
        assert word in words
    assert words.count("randomisation") == 2, "beside each other, whole"
    variant = finished[1].variants[0]
    assert f"{variant.payload_bytes / 1024:,.0f}" in figures_of(text, "dom0, payload")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_variants_that_do_not_fit_beside_each_other_come_below(tmp_path, width):
    names = ["store-killed", "domain-destroyed", "store-frozen", "store-frozen-long"]
    summary = faulty(tmp_path, names)
    text = plain(summary, width)
    assert "…" not in text
    for word in (name for title in names for name in title.split("-")):
        assert word in text.split(), word
    assert "faults struck" in text


def faulty(tmp_path, names):
    """A synthetic run of which every variant was struck by as many faults as it has letters."""
    with RunFolder.create(tmp_path, manifest("run", tuple(names))) as folder:
        for name in names:
            more = {"counters.reconnects": 4, "counters.resent": 31}
            folder.append_sample(sample(name, 1.0, [parsed(mark(0, overrides=more))]))
            struck = [
                FaultOutcome(
                    kind="kill-store",
                    number=n,
                    host_seconds=n,
                    seconds=3.25,
                    recovery_seconds=n,
                    done="SIGKILL to the store",
                )
                for n in range(1, len(name) + 1)
            ]
            title = name.replace("-", " ")
            file = outcome(name, 2, title=title, faults=struck, builds=7)
            folder.write_variant(file, peak_of(mark(0)))
        return finish_run(folder)


def test_the_report_tells_of_faults(tmp_path):
    summary = faulty(tmp_path, ["store-killed"])
    assert summary.variants[0].faults == {"kill-store": 12}
    assert verify_run(tmp_path / "run") == []
    text = (tmp_path / "run/report.html").read_text()
    row = re.search(r"<tr>[^\n]*kill-store</td>.*?</tr>", text).group()
    assert re.findall(r"<td>(.*?)</td>", row) == ["12", "3.2 s", "6.5 s", "12.0 s"]
    assert "sent again" in text and "<td>31</td>" in text


def test_a_run_without_faults_does_not_tell_of_them(finished):
    assert "faults struck" not in plain(finished[1])
    assert "sent again" not in (finished[0] / "report.html").read_text()


def streams(tmp_path):
    """A synthetic run of page streams, with figures that are easy to find again."""
    names = {"pageshare": 300.0, "zram": 12345.0, "disk": None}
    document = manifest("run", tuple(names))
    content = {**document.experiment.content, "workload": {"kind": "page-stream"}}
    entry = document.experiment.model_copy(update={"content": content})
    with RunFolder.create(tmp_path, document.model_copy(update={"experiment": entry})) as folder:
        for swap, rate in names.items():
            figures = PageStreamFigures(
                pages=4000,
                rounds=2,
                out_pages=8000,
                out_seconds=10.0,
                out_per_second=rate,
                out_median_microseconds=777.0,
                out_p99_microseconds=None,
                in_pages=16000,
                in_seconds=20.0,
                in_per_second=800.0,
                in_median_microseconds=888.0,
                in_p99_microseconds=9999.0,
                still_in_pages=3,
                mismatches=0,
                memory_bytes=0 if swap == "disk" else 2048 * 1024,
            )
            domain = DomainOutcome(name="domU1", workload="page-stream", page_stream=figures)
            file = outcome(swap, 2, swap=swap, domains=[domain], reference_digests=None)
            peak = None
            if swap == "pageshare":
                folder.append_sample(sample(swap, 1.0, [parsed(mark(0))]))
                peak = peak_of(mark(0))
            folder.write_variant(file, peak)
        return folder.path, finish_run(folder)


def test_page_streams_have_a_table_of_their_own(tmp_path):
    path, summary = streams(tmp_path)
    assert (summary.verdict, summary.reasons) == ("OK", [])
    assert verify_run(path) == []
    text = plain(summary, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert rows["zram"].split()[1:] == ["12,345", "777", "-", "800", "888", "9,999", "2,048"]
    assert rows["disk"].split()[1:] == ["-", "777", "-", "800", "888", "9,999", "0"]


def test_page_streams_have_a_section_of_their_own(tmp_path):
    path, _ = streams(tmp_path)
    text = (path / "report.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.addresses == []
    assert text.count("<svg") == 1
    for words in ("page-out", "page-in", "12,345", "888 µs", "2,048 KB"):
        assert words in text
    assert "Figure 2" not in text
    assert not re.search(r"\bNone\b|\bnan\b", re.sub(r"<pre>.*?</pre>", "", text, flags=re.S))


def test_a_churn_shows_pages_and_lies(tmp_path):
    written = manifest("run", ("lies",))
    content = {**written.experiment.content, "workload": {"kind": "churn"}}
    entry = written.experiment.model_copy(update={"content": content})
    with RunFolder.create(tmp_path, written.model_copy(update={"experiment": entry})) as folder:
        figures = ChurnFigures(rounds=9, pages=2700, errors=1234, mismatches=0)
        domains = [DomainOutcome(name="victim", workload="churn", churn=figures)]
        told = HostileFigures(
            seed=1,
            starts=50,
            connections=40,
            left=30,
            answers=4567,
            lies={"told-twice": 41, "node-state": 2},
            counters={"protocol_errors": 29},
        )
        file = outcome("lies", 2, domains=domains, hostile=told, kernel="debug")
        folder.write_variant(file, None)
        summary = finish_run(folder)
    assert summary.verdict == "OK"
    assert verify_run(folder.path) == []
    text = (folder.path / "report.html").read_text()
    shown = plain(summary)
    for words in ("1,234", "debug", "victim"):
        assert words in text
        assert words in shown
    assert "told-twice" in text
    assert re.search(r"lies +43", shown)
    assert re.search(r"kinds of lies +2", shown)
    assert re.search(r"protocol_errors +29", shown)
