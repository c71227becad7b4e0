"""What a comparison says to people."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from orchestrator.compare import compare, comparison_table, notes, sentence
from orchestrator.compare.sentences import signed_percent
from tests.unit.compare.arms import PAGES, SHARE, TIME, arm


def shown(comparison, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(comparison_table(comparison, base="Python", other="native"))
    return console.file.getvalue()


def figures(count, seed=1):
    random = np.random.default_rng(seed)
    base = {
        number: {"time": 100.0 + number, "share": 0.8 + 0.1 * random.random(), "pages": 0.0}
        for number in range(count)
    }
    other = {
        number: {"time": 90.0 + number, "share": 0.8 + 0.1 * random.random(), "pages": 0.0}
        for number in range(count)
    }
    return compare(base, other, design="paired", metrics=[TIME, SHARE, PAGES])


def test_the_table_fits_a_terminal_and_has_every_figure():
    text = shown(figures(10))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if line.startswith(" time")]
    expected = "time 104.5 s 94.5 s -9.58 -9.80 to -9.35 0.006 lower better"
    assert row.split() == expected.split()
    assert any(line.split()[-2:] == ["no", "change"] for line in lines)
    assert "smallest effect 1 %" in text
    assert "note: pages: all equal, 10 pairs" in text


def test_too_few_pairs_are_said_in_one_sentence():
    text = notes(figures(5))
    assert text[0] == (
        "5 pairs can never be significant at 0.05 over 3 metrics: at least 7 are needed"
    )


def test_arms_of_two_sizes_have_the_outcomes_of_both():
    three, ten = arm(TIME, range(101, 104)), arm(TIME, range(201, 211))
    found = compare(three, ten, design="unpaired", metrics=[TIME])
    assert found.results[0].verdict == "worse"
    assert notes(found) == []
    found = compare(three, arm(TIME, range(201, 205)), design="unpaired", metrics=[TIME])
    assert notes(found)[0] == (
        "3 and 4 samples can never be significant at 0.05 over 1 metric:"
        " at least 4 are needed in each"
    )


def test_what_is_needed_is_said():
    (line,) = [one for one in notes(figures(10)) if one.startswith("share")]
    assert line.startswith("share: to settle 1 %, about ")
    assert line.endswith(" are needed, there are 10 pairs")


def test_runs_that_are_missing_are_said_once():
    base = {seed: {"time": 1.0, "pages": 2.0} for seed in (1, 2, 3)}
    other = {seed: {"time": 1.0, "pages": 2.0} for seed in (2, 4)}
    text = notes(compare(base, other, design="paired", metrics=[TIME, PAGES]))
    assert text[:2] == [
        "seeds left out, as they are in the base arm alone: 1, 3",
        "seeds left out, as they are in the other arm alone: 4",
    ]


def test_a_figure_that_is_missing_is_said_of_its_metric():
    base = {seed: {"time": 1.0, "share": 2.0} for seed in (1, 2)}
    other = {1: {"time": 1.0, "share": None}, 2: {"time": 1.0, "share": 3.0}}
    text = notes(compare(base, other, design="paired", metrics=[TIME, SHARE]))
    assert "share: seeds left out, as they are in the base arm alone: 1" in text


@pytest.mark.parametrize(
    ("design", "why"),
    [("paired", "no seed has it in both arms"), ("unpaired", "one arm has no sample of it")],
)
def test_no_samples_are_said(design, why):
    comparison = compare(arm(TIME, [1.0, 2.0]), {}, design=design, metrics=[TIME])
    assert f"time: {why}" in notes(comparison)
    assert shown(comparison)


def test_a_change_from_nothing_is_said():
    comparison = compare(
        arm(PAGES, [0.0] * 8), arm(PAGES, range(1, 9)), design="paired", metrics=[PAGES]
    )
    assert notes(comparison) == [
        "pages: the base's median is 0, of which a change has no relative size"
    ]


def test_one_line_says_all_of_a_metric():
    comparison = figures(10)
    assert sentence(comparison.results[0], comparison.criteria) == (
        "time: better, -9.58 %, 95 % interval -9.80 to -9.35 %,"
        " significant (p 0.0059 after Holm), lower is better"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (-0.00001, "0.00"),
        (0.0123, "+1.23"),
        (-0.0999, "-9.99"),
        (0.09999, "+10.0"),
        (12.5, "+1,250.0"),
    ],
)
def test_percents_have_a_sign_and_the_digits_that_they_deserve(value, text):
    assert signed_percent(value) == text
