"""pagegen's working set as a whole: digests that follow from its arguments, and what it finds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.workload.conftest import FOLDER

SHARES = "zero:15,equal:30,similar:15,text:30,random:10"
PLAN = {"pages": 300, "shares": SHARES, "seed": 5, "domain": 1, "rounds": 3, "rewrite": 250}


def argv(program, mode, **changes):
    options = {**PLAN, **changes}
    return [
        program,
        mode,
        *(word for name in options for word in (f"--{name}", str(options[name]))),
    ]


def run(program, mode="--work", **changes):
    done = subprocess.run(
        argv(program, mode, **changes), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_digests_are_those_that_are_expected_of_contents_alone(pagegen):
    worked, expected = run(pagegen), run(pagegen, "--expect")
    assert worked["digests"] == expected["digests"] == run(pagegen)["digests"]
    assert len(set(worked["digests"])) == PLAN["rounds"] + 1
    assert worked["fill_seconds"] <= worked["seconds"]


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 6},
        {"domain": 2},
        {"pages": 299},
        {"shares": "text:1"},
        {"rewrite": 300},
        {"similar-words": 9},
    ],
)
def test_digests_differ_where_the_work_does(pagegen, changes):
    last = [run(pagegen, "--expect", **one)["digests"][-1] for one in ({}, changes)]
    assert last[0] != last[1]


@pytest.mark.parametrize("rewrite", [0, 250, 1000])
def test_every_touch_rewrites_or_verifies(pagegen, rewrite):
    found = run(pagegen, rewrite=rewrite, rounds=10)
    touches = 300 * 10
    assert found["rewrites"] + found["verified"] == touches + 300  # the last round reads all
    assert abs(found["rewrites"] - touches * rewrite / 1000) < 100
    if rewrite in (0, 1000):
        assert found["rewrites"] == touches * rewrite // 1000


@pytest.fixture(scope="module")
def spoilt(build) -> Path:
    """A program in which a byte of the set is flipped before one comparison."""
    sources = [*sorted(FOLDER.glob("*.c")), Path(__file__).parent / "planted.c"]
    return build("spoilt", *sources, options=("-Wl,--wrap=first_difference",))


@pytest.mark.parametrize(("compared", "offset"), [(0, 0), (100, 4095), (700, 1234)])
def test_a_flipped_byte_ends_the_work_with_its_place(spoilt, compared, offset):
    environment = {**os.environ, "FLIP_COMPARED": str(compared), "FLIP_OFFSET": str(offset)}
    done = subprocess.run(
        argv(spoilt, "--work"), capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    *_, last = done.stdout.splitlines()
    found = json.loads(last)
    assert (found["phase"], found["offset"]) == ("different", offset)
    assert 0 <= found["page"] < 300
    assert run(spoilt)["phase"] == "worked"  # without a flip, it is the same program


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shares": "zero:0"}, "--shares"),
        ({"shares": "same:1"}, "kinds: zero, equal, similar, text, random"),
        ({"shares": "text:1001"}, "0 to 1000"),
        ({"shares": "text:1,"}, "--shares"),
        ({"rewrite": 1001}, "--rewrite must be 0 to 1000"),
        ({"similar-words": 65}, "--similar-words must be 1 to 64"),
        ({"rounds": 0}, "--rounds"),
        ({"touches": 3}, "--touches is unknown"),
    ],
)
def test_bad_arguments_are_refused(pagegen, changes, said):
    done = subprocess.run(
        argv(pagegen, "--work", **changes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
