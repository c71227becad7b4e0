"""What is planted in the store is found, and nothing where nothing is planted."""

from __future__ import annotations

import ast

import pytest

from tests.fuzz.changed import STORE
from tests.fuzz.faults import PLANTED, try_plan


@pytest.mark.parametrize("name", PLANTED)
def test_every_fault_has_its_place_in_the_sources(name):
    for change in PLANTED[name].changes:
        text = (STORE / change.file).read_text()
        changed = change.applied_to(text)
        assert changed != text
        if change.file.endswith(".py"):
            ast.parse(changed)  # it is to be found by what it does


@pytest.mark.parametrize("name", ["loads the wrong page", "bytes are not compared"])
def test_a_fault_that_is_planted_in_c_is_found(tmp_path, name):
    outcome = try_plan(PLANTED[name], tmp_path, 20_000)
    assert outcome.found
    assert outcome.how.startswith("AssertionError"), outcome


def test_nothing_is_found_where_fingerprints_only_collide(tmp_path):
    outcome = try_plan(PLANTED["(nothing, fingerprints collide)"], tmp_path, 2000)
    assert outcome.how == ""
    assert outcome.requests >= 2000
