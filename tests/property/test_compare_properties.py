"""What holds of every comparison, whatever was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.compare import Metric, compare
from orchestrator.compare.holm import holm

TIME = Metric("time", "time", "s", "lower")
OPPOSITE = {"better": "worse", "worse": "better"}

designs = st.sampled_from(["paired", "unpaired"])
times = st.lists(
    st.floats(1e-3, 1e6, allow_nan=False) | st.integers(98, 103).map(float), min_size=1, max_size=12
)
shares = st.lists(st.floats(0, 1), max_size=12)


def one(base, other, design):
    arms = (
        {seed: {"time": value} for seed, value in enumerate(values)} for values in (base, other)
    )
    return compare(*arms, design=design, metrics=[TIME]).results[0]


@settings(deadline=None)
@given(times, times, designs)
def test_to_swap_the_arms_turns_the_change_and_the_verdict(base, other, design):
    there, back = one(base, other, design), one(other, base, design)
    assert back.p == pytest.approx(there.p)
    assert back.verdict == OPPOSITE.get(there.verdict, there.verdict)
    assert 1 + back.change == pytest.approx(1 / (1 + there.change))
    assert (back.interval is None) == (there.interval is None)
    if there.interval:
        assert 1 + back.interval.low == pytest.approx(1 / (1 + there.interval.high))


@settings(deadline=None)
@given(times, times, designs, st.sampled_from([2.0**-20, 0.5, 1024.0]))
def test_the_unit_does_not_matter(base, other, design, factor):
    one_unit = one(base, other, design)
    another = one([factor * value for value in base], [factor * value for value in other], design)
    assert another.change == pytest.approx(one_unit.change, abs=1e-9)
    if design == "unpaired":
        assert another.p == one_unit.p


@settings(deadline=None)
@given(times, times, designs)
def test_the_estimate_lies_in_its_interval(base, other, design):
    found = one(base, other, design)
    assert 0 < found.p <= 1
    if found.interval:
        assert found.interval.low <= found.change <= found.interval.high
    if found.verdict in ("better", "worse"):
        assert found.significant


@settings(deadline=None)
@given(shares)
def test_holm_only_raises_keeps_the_order_and_stays_a_chance(ps):
    adjusted = holm(ps)
    assert all(p <= one <= 1 for p, one in zip(ps, adjusted, strict=True))
    ordered = np.array(adjusted)[np.argsort(ps, kind="stable")]
    assert (np.diff(ordered) >= 0).all()
    if ps:
        assert min(adjusted) == pytest.approx(min(1.0, len(ps) * min(ps)))
