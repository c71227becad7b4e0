from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.workloads import KernelCompile

SOURCE = Path(__file__).resolve().parents[3] / "testbed/workload/pagegen.c"


@pytest.mark.parametrize("checkpoint", [0, 60])
@pytest.mark.parametrize("targets", [["lib/string.o", "kernel/exit.o"], ["vmlinux"]])
def test_the_script_is_one_that_sh_takes(targets, checkpoint):
    script = KernelCompile(targets, checkpoint_seconds=checkpoint).script()
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    assert f"KBUILD_BUILD_VERSION=1 {' '.join(targets)}\n" in script
    assert ("checkpoint" in script) == bool(checkpoint)


@pytest.fixture(scope="module")
def pagegen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("pagegen") / "pagegen"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)], check=True
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
    "arguments", [[], ["--pages", "0"], ["--pages", "x"], ["--kind", "odd"], ["--wrong", "1"]]
)
def test_bad_arguments_are_refused(pagegen, arguments):
    assert subprocess.run([pagegen, *arguments], capture_output=True).returncode == 2
