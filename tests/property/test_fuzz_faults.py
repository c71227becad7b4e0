"""What is planted in the native piece is found; fingerprints that collide do no harm."""

from __future__ import annotations

import pytest

from testbed.store.table import SharingTable
from tests.fuzz.faults import WITHOUT, try_fault
from tests.fuzz.native import build_changed
from tests.fuzz.planted import COLLISIONS, FAULTS
from tests.fuzz.replay import inputs
from tests.fuzz.ring import make
from tests.fuzz.weak import WEAK, weak_fingerprint
from tests.unit.store import support


@pytest.mark.parametrize("name", FAULTS | COLLISIONS)
def test_every_fault_has_one_place_in_the_sources(name):
    change = (FAULTS | COLLISIONS)[name]
    text = (support.NATIVE / change.file).read_text()
    assert change.applied_to(text) != text


@pytest.mark.parametrize("fault", ["loads the wrong page", "bytes are not compared"])
def test_a_fault_that_is_planted_in_c_is_found(tmp_path, fault):
    found = try_fault(fault, tmp_path, 20_000)
    assert found.found
    assert found.how.startswith("AssertionError"), found


def test_nothing_is_found_where_nothing_is_planted(tmp_path):
    assert try_fault(WITHOUT[1], tmp_path, 1000).how == ""


@pytest.fixture
def collisions(tmp_path, monkeypatch):
    """Both engines with a fingerprint of seven values."""
    build_changed(tmp_path, [WEAK])
    monkeypatch.setattr(support, "native_folder", lambda: tmp_path)
    monkeypatch.setattr(SharingTable.__init__, "__defaults__", (weak_fingerprint,))
    support.ring_library.cache_clear()
    yield
    support.ring_library.cache_clear()


def test_the_corpus_is_played_without_a_fault_when_fingerprints_collide(collisions):
    target = make(["python", "native"])
    for path in inputs("ring"):
        target(path.read_bytes())
    stored = target.figures.answers["STORE OKAY"]
    target.close()
    assert stored > 500
