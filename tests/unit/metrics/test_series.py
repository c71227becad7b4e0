"""The curves of Figure 2 lie on one time axis, and a picture's points keep the extremes."""

from __future__ import annotations

import pytest

from orchestrator.metrics.series import DOM0, Point, figure2_curves, thinned
from tests.unit.results.synthetic import LENGTH, mark, parsed, sample


def test_curves_are_in_kilobytes_since_the_workloads_start():
    samples = [
        sample("v", 0.0, []),
        sample("v", 2.0, [], note="workload-started"),
        # read 0.4 s and 0.1 s after they were written: the smaller one fixes the clock
        sample("v", 3.4, [parsed(mark(0, at=3.0, pages=(100, 200), same=(0, 0), within=0))]),
        sample("v", 4.1, [parsed(mark(1, at=4.0, pages=(300, 400), same=(0, 0), within=0))]),
    ]
    curves = {curve.domain: curve.points for curve in figure2_curves(samples)}
    assert list(curves) == ["domU1", "domU2", DOM0]
    assert [point.seconds for point in curves["domU1"]] == pytest.approx([1.1, 2.1])
    assert [point.kilobytes for point in curves["domU2"]] == [800, 1600]
    assert curves[DOM0][1].kilobytes == pytest.approx(400 * LENGTH / 1024)


def test_no_marks_no_curves():
    assert figure2_curves([]) == []
    assert figure2_curves([sample("v", 0.0, [])]) == []


def test_thinning_keeps_the_extremes_and_the_order():
    points = [Point(float(i), float(i % 97)) for i in range(50_000)]
    points[31_234] = Point(31_234.0, 5000.0)
    few = thinned(points, limit=1000)
    assert len(few) <= 1002
    assert max(point.kilobytes for point in few) == 5000.0
    times = [point.seconds for point in few]
    assert times == sorted(times)
    assert (few[0], few[-1]) == (points[0], points[-1])
    assert thinned(points[:10]) == points[:10]
