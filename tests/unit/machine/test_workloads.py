from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.results import PageStreamFigures
from orchestrator.workloads import DomainSwap, KernelCompile, PageLoop, PageStream
from orchestrator.workloads.page_loop import _mismatches, page_loop_script
from orchestrator.workloads.page_stream import _measured

SOURCES = sorted((Path(__file__).resolve().parents[3] / "testbed/workload").glob("*.c"))


@pytest.mark.parametrize("checkpoint", [0, 60])
@pytest.mark.parametrize("targets", [["lib/string.o", "kernel/exit.o"], ["vmlinux"]])
def test_the_script_is_one_that_sh_takes(targets, checkpoint):
    script = KernelCompile(targets, checkpoint_seconds=checkpoint).script("domU1")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert f"KBUILD_BUILD_VERSION=1 {' '.join(targets)}\n" in script
    assert ("checkpoint" in script) == bool(checkpoint)


@pytest.fixture(scope="module")
def pagegen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("pagegen") / "pagegen"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, *SOURCES], check=True
    )
    return program


@pytest.mark.parametrize("kind", ["zero", "same", "text", "random", "mixed"])
def test_pages_of_each_kind_are_verified(pagegen, kind):
    result = subprocess.run(
        [pagegen, "--pages", "500", "--kind", kind, "--seed", "3", "--pageout"],
        capture_output=True,
        text=True,
        check=True,
    )
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["phase"] for record in records] == ["filled", "held", "verified"]
    assert records[-1]["mismatches"] == 0
    assert records[-1]["pages"] == 500


def test_pages_are_held_until_a_file_appears(pagegen, tmp_path):
    release = tmp_path / "release"
    process = subprocess.Popen(
        [pagegen, "--pages", "10", "--until", release], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["phase"] == "filled"
    assert json.loads(process.stdout.readline())["phase"] == "held"
    assert process.poll() is None
    release.touch()
    out, _ = process.communicate(timeout=5)
    assert json.loads(out)["phase"] == "verified"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--pages", "0"],
        ["--pages", "x"],
        ["--kind", "odd"],
        ["--wrong", "1"],
        ["--pages", "9", "--rounds", "0"],
        ["--pages", "9", "--mix", "text"],
        ["--pages", "9", "--mix", "text:1,"],
        ["--pages", "9", "--mix", "text:0"],
        ["--pages", "9", "--mix", "mixed:1"],
        ["--pages", "9", "--mix", "text:1;zero:1"],
    ],
)
def test_bad_arguments_are_refused(pagegen, arguments):
    assert subprocess.run([pagegen, *arguments], capture_output=True).returncode == 2


def test_a_mix_is_verified_too(pagegen):
    result = subprocess.run(
        [pagegen, "--pages", "300", "--mix", "zero:1,text:2,random:1", "--pageout"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout.splitlines()[-1])["mismatches"] == 0


def test_what_is_measured_is_what_the_results_take(pagegen):
    result = subprocess.run(
        [pagegen, "--measure", "--pages", "200", "--mix", "text:3,same:1", "--rounds", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    record = _measured(f"some warning\n{result.stdout}")
    figures = PageStreamFigures(**record, memory_bytes=None)
    assert (figures.pages, figures.rounds, figures.mismatches) == (200, 2, 0)
    assert figures.in_pages + figures.still_in_pages == 2 * 2 * 200, "every page was touched"
    if not figures.out_pages:  # this machine does not swap
        assert figures.out_per_second is None
        assert figures.out_median_microseconds is None
        assert figures.in_p99_microseconds is None
    else:
        assert figures.out_p99_microseconds >= figures.out_median_microseconds > 0


def test_a_log_without_figures_gives_none():
    assert _measured('{"phase":"error","error":"SIGBUS","page":3}\nnoise') is None


def test_a_stream_passes_its_mix_on():
    stream = PageStream(
        program=Path("p"),
        pages=9,
        mix={"zero": 0, "text": 3, "random": 1},
        rounds=2,
        seed=7,
        swap=DomainSwap(),
    )
    assert stream.argv[1:] == [
        "--measure", "--pages", "9", "--mix", "text:3,random:1", "--rounds", "2", "--seed", "7",
    ]  # fmt: skip


def test_objects_are_removed_before_they_are_built_again():
    script = KernelCompile(["lib/idr.o", "kernel/exit.o"], clean=True).script("domU1")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert (
        "(cd /toolchain/work/linux && "
        "rm -f lib/idr.o kernel/exit.o lib/.idr.o.cmd kernel/.exit.o.cmd)" in script
    )
    assert script.index("rm -f lib") < script.index("read start")
    assert "rm -f lib" not in KernelCompile(["lib/idr.o"]).script("domU1")


@pytest.fixture
def page_loop(tmp_path):
    def start(pagegen):
        script = page_loop_script(PageLoop(64, 5), str(tmp_path), str(pagegen))
        return subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)

    return start


def test_a_page_loop_goes_on_until_it_is_told(page_loop, pagegen, tmp_path):
    process = page_loop(pagegen)
    end = time.monotonic() + 20
    rounds = tmp_path / "rounds"
    while not rounds.exists() or len(rounds.read_text().splitlines()) < 3:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    (tmp_path / "stop").touch()
    assert process.wait(timeout=20) == 0


def test_a_page_loop_ends_with_what_pagegen_said(page_loop, tmp_path):
    broken = tmp_path / "broken"
    record = '{"phase":"verified","pages":64,"mismatches":3,"first_mismatch":17}'
    broken.write_text(f"#!/bin/sh\necho '{record}'\nexit 1\n")
    broken.chmod(0o755)
    process = page_loop(broken)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert _mismatches(said) == "3 pages (the first is 17)"
