"""The payload by form over time."""

from __future__ import annotations

import pytest

from orchestrator.metrics.forms import AS_SENT, form_curves
from orchestrator.results.forms_chart import FORMS, forms_svg
from testbed.store.forms import Form
from tests.unit.results.synthetic import LENGTH, mark, parsed, sample


def looked_at(sequence: int, twins: int):
    """A MARK of 100 pages each of two domUs, so many of them kept as twins in 20 bytes."""
    record = mark(sequence, at=10.0 + sequence, pages=(100, 100), same=(0, 0), within=0, between=0)
    kept = {"entries": twins, "received_bytes": twins * LENGTH, "kept_bytes": twins * 20}
    record["table"]["forms"] = {"twin": kept, "near_twin": dict.fromkeys(kept, 0)}
    record["table"]["payload_bytes"] -= twins * (LENGTH - 20)
    return parsed(record)


def test_the_forms_sum_to_the_payload():
    samples = [sample("v", 10.0 + n, [looked_at(n, 10 * n)]) for n in range(4)]
    curves = {
        curve.domain: [p.kilobytes * 1024 for p in curve.points] for curve in form_curves(samples)
    }
    assert list(curves) == [AS_SENT, "twin"]
    assert curves["twin"] == pytest.approx([0, 200, 400, 600])
    assert curves[AS_SENT] == pytest.approx([(200 - 10 * n) * LENGTH for n in range(4)])


def test_without_a_second_look_there_is_no_picture():
    assert form_curves([sample("v", 10.0, [looked_at(0, 0)])]) == []
    assert form_curves([]) == []
    assert "no page was kept in another form" in forms_svg({"one": []})


def test_every_form_has_a_colour_and_a_name():
    assert set(FORMS) == {form.name.lower() for form in Form}
    samples = [sample("v", 10.0 + n, [looked_at(n, 10 * n)]) for n in range(4)]
    assert "as where their pointers moved" in forms_svg({"one": form_curves(samples)})
