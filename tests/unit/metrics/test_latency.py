"""Quantiles of the frontend's latency histogram."""

from __future__ import annotations

import pytest

from orchestrator.errors import InfrastructureError
from orchestrator.metrics.latency import histogram_quantile, parse_latency


def test_stores_and_loads_are_told_apart():
    stores, loads = parse_latency("nanoseconds stores loads\n0 2 0\n1024 0 3\n1280 5 1\n")
    assert stores == [(0, 2), (1280, 5)]
    assert loads == [(1024, 3), (1280, 1)]


@pytest.mark.parametrize("text", ["", "something else\n1 2 3\n"])
def test_another_format_is_refused(text):
    with pytest.raises(InfrastructureError, match="latency histogram"):
        parse_latency(text)


def test_quantiles_lie_inside_their_bucket():
    histogram = [(1024, 98), (4096, 1), (8192, 1)]
    assert 1024 < histogram_quantile(histogram, 0.5) < 1024 + 256
    assert 4096 < histogram_quantile(histogram, 0.99) <= 4096 + 1024
    assert histogram_quantile([], 0.5) is None
