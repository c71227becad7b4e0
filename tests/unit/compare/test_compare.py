"""Verdicts of whole comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from orchestrator.compare import METRICS, Criteria, compare
from tests.unit.compare.arms import PAGES, SHARE, TIME, arm, noisy


def one(base, other, metric=TIME, design="paired", **more):
    (found,) = compare(
        arm(metric, base), arm(metric, other), design=design, metrics=[metric], **more
    ).results
    return found


BASE = np.array([100.0, 101, 102, 99, 98, 100.5, 103, 97])
WIGGLE = 1 + 0.001 * np.array([1, -2, 3, -1, 2, -3, 1.5, -1.5])


@pytest.mark.parametrize("design", ["paired", "unpaired"])
@pytest.mark.parametrize(
    ("metric", "factor", "verdict"),
    [
        (TIME, 0.9, "better"),
        (TIME, 1.1, "worse"),
        (SHARE, 1.1, "better"),
        (SHARE, 0.9, "worse"),
        (PAGES, 0.9, "changed"),
        (PAGES, 1.1, "changed"),
    ],
)
def test_which_way_is_better_is_the_metrics(design, metric, factor, verdict):
    found = one(BASE, BASE * factor * WIGGLE, metric, design)
    assert found.verdict == verdict
    assert found.significant
    assert found.change == pytest.approx(factor - 1, abs=0.02)
    assert found.interval.low < found.change < found.interval.high
    assert found.needed is None


def test_pairs_see_what_two_arms_do_not():
    skewed = BASE * np.array([1, 1.2, 0.9, 1.1, 0.8, 1.3, 0.7, 1])
    assert one(skewed, skewed * 1.03 * WIGGLE).verdict == "worse"
    assert one(skewed, skewed * 1.03 * WIGGLE, design="unpaired").verdict == "unclear"


def test_significant_but_small_is_no_change():
    found = one(BASE, BASE * 1.005 * (1 + (WIGGLE - 1) / 10))
    assert found.significant
    assert found.verdict == "no change"
    assert (
        one(
            BASE, BASE * 1.005 * (1 + (WIGGLE - 1) / 10), criteria=Criteria(smallest_effect=0.002)
        ).verdict
        == "worse"
    )


def test_the_smallest_effect_itself_is_not_beyond_it():
    assert one([100.0] * 9, [101.0] * 9).verdict == "no change"
    assert one([101.0] * 9, [100.0] * 9).verdict == "no change"
    assert one([1000.0] * 9, [1011.0] * 9).verdict == "worse"


def test_a_change_across_the_smallest_effect_is_unclear():
    found = one(BASE, BASE * (1.01 + 0.3 * (WIGGLE - 1)))
    assert found.significant
    assert found.verdict == "unclear"
    assert found.needed is None, "the spread is small enough: it lies at the edge"


def test_a_wide_spread_is_unclear_and_says_what_it_takes():
    random = np.random.default_rng(2)
    base, other = noisy(random, 10, 0.05), noisy(random, 10, 0.05)
    (found,) = compare(base, other, design="paired", metrics=[TIME]).results
    assert found.verdict == "unclear"
    assert found.needed > 200


def test_the_spread_of_either_arm_counts():
    still, spread = [100.0] * 8, BASE * WIGGLE
    there, back = one(still, spread, design="unpaired"), one(spread, still, design="unpaired")
    assert there.needed == back.needed > 8
    assert one(BASE, spread, design="unpaired").needed > there.needed


def test_five_pairs_are_never_enough():
    found = one(BASE[:5], BASE[:5] * 2)
    assert found.p == pytest.approx(0.0625)
    assert (found.interval, found.verdict, found.needed) == (None, "unclear", 6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("design", ["paired", "unpaired"])
@pytest.mark.parametrize("value", [0.0, 7.0, -1.5])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_all_equal_is_no_change(design, value, count):
    found = one([value] * count, [value] * count, design=design)
    assert (found.verdict, found.change, found.p) == ("no change", 0, 1)
    assert found.all_equal
    assert (found.interval.low, found.interval.high) == (0, 0)


def test_pairs_that_are_equal_one_by_one_are_no_change():
    assert one(BASE, BASE).all_equal
    assert not one(BASE, BASE, design="unpaired").all_equal


def test_seeds_without_a_partner_are_told():
    base = {seed: {"time": 100.0 + seed} for seed in (1, 2, 3, 5)}
    other = {seed: {"time": 100.0 + seed} for seed in (2, 3, 4)} | {5: {"time": None}}
    (found,) = compare(base, other, design="paired", metrics=[TIME]).results
    assert (found.base_samples, found.other_samples) == (2, 2)
    assert (found.only_base, found.only_other) == ((1, 5), (4,))
    assert found.base_median == 102.5


@pytest.mark.parametrize("design", ["paired", "unpaired"])
def test_a_metric_of_one_arm_alone_is_told_and_tests_nothing(design):
    base = {seed: {"time": 100.0 + seed, "share": 0.5} for seed in range(6)}
    other = {seed: {"time": 200.0 + seed} for seed in range(6)}
    time, share = compare(base, other, design=design, metrics=[TIME, SHARE, PAGES]).results
    assert time.verdict == "worse"
    assert time.p == time.p_holm
    assert (share.verdict, share.p, share.change) == ("unclear", None, None)


def test_more_metrics_ask_for_more():
    few = {seed: {"time": 100.0 + seed, "share": 0.5, "pages": 9} for seed in range(6)}
    changed = {seed: {**run, "time": run["time"] * 1.1} for seed, run in few.items()}
    alone = compare(few, changed, design="paired", metrics=[TIME])
    among = compare(few, changed, design="paired", metrics=[TIME, SHARE, PAGES])
    assert [one.metric for one in alone.regressions] == [TIME]
    assert not among.regressions
    assert among.smallest_samples == 7
    assert among.results[0].needed == 7


def test_figures_that_may_be_negative_are_relative_to_the_bases_median():
    base = np.array([-0.2, 0.1, 0.2, 0.2, 0.3, 0.4, 0.2, 0.1])
    found = one(base, base + 0.1, SHARE)
    assert found.change == pytest.approx(0.5)
    assert found.verdict == "better"


def test_from_nothing_a_change_has_no_relative_size():
    found = one([0.0] * 8, np.arange(8) + 1.0, PAGES)
    assert (found.change, found.interval, found.verdict) == (None, None, "changed")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_an_error(value):
    with pytest.raises(ValueError, match=r"time of seed 1: .* is not a finite number"):
        one([1.0, value], [1.0, 2.0])


@pytest.mark.parametrize("name", ["confidence", "smallest_effect", "power"])
def test_criteria_are_shares(name):
    with pytest.raises(ValueError, match=f"{name}: 95 is not between 0 and 1"):
        Criteria(**{name: 95})


def test_nothing_to_compare_is_no_result():
    assert compare({}, {}, design="paired").results == ()


def test_a_comparison_is_json():
    comparison = compare(arm(TIME, BASE), arm(TIME, BASE[:5]), design="paired", metrics=[TIME])
    read = json.loads(json.dumps(asdict(comparison), allow_nan=False))
    assert read["results"][0]["only_base"] == [5, 6, 7]
    assert read["criteria"]["smallest_effect"] == 0.01


def test_every_metric_has_one_name_and_one_title():
    assert len({one.name for one in METRICS}) == len({one.title for one in METRICS}) == len(METRICS)
