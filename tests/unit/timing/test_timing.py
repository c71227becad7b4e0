"""The programs that time the store in dom0 look at what they say they do."""

from __future__ import annotations

from testbed.store.forms import Form
from testbed.timing import hitmiss, kept
from tests.unit.store.support import front_library, ring_library


def test_hits_and_misses_are_timed():
    found = hitmiss.measure(front_library(), ring_library(), pages=30, seed=1)
    assert set(found) == {"hit", "miss"}
    assert all(0 < one["p5"] <= one["median"] <= one["p95"] for one in found.values())


def test_pages_of_every_form_are_timed():
    found = kept.measure(front_library(), ring_library(), pages=30, seed=1)
    assert set(found) == {form.name.lower() for form in Form}
    for kinds in found.values():
        assert set(kinds) == {"load", "store"}
        assert all(0 < one["p5"] <= one["median"] <= one["p95"] for one in kinds.values())
