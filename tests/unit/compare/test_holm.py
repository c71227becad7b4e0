"""Holm's step-down."""

from __future__ import annotations

import pytest

from orchestrator.compare.holm import holm


def test_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_alone_stays_and_none_is_above_one():
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([]) == []
