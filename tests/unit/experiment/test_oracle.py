"""``[oracle]`` in an experiment file: when it looks, and where it cannot."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment, shipped_or_given

GOOD = """
name = "some"
title = "Some"
{top}

[workload]
{workload}

[oracle]
{oracle}

[[variant]]
name = "one"
randomize_va_space = 2
{variant}

[[domain]]
name = "domU1"
memory_mib = 136
quota_mib = 64
swap_mib = 128
{domain}
"""
COMPILE = 'kind = "kernel-compile"\nobjects_file = "objects.txt"'
STREAM = 'kind = "page-stream"\npages = 100\nmix = { text = 1 }'


def text(*, workload=COMPILE, top="", oracle="", variant="", domain=""):
    return GOOD.format(workload=workload, top=top, oracle=oracle, variant=variant, domain=domain)


def test_it_looks_when_the_file_says_or_by_itself(load):
    assert load(text(oracle="at_seconds = 45")).oracle.at_seconds == 45
    assert load(text()).oracle.at_seconds is None
    assert load(text(oracle="resident = false")).oracle.resident is False
    assert load(text().replace("[oracle]", "")).oracle is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oracle": "at_seconds = 0"}, r"oracle.at_seconds = 0 is not allowed; allowed: .*above 0"),
        ({"oracle": "seconds = 9"}, r"unknown key 'oracle.seconds' = 9 \(did you mean"),
        ({"workload": STREAM}, "a workload of kind 'kernel-compile' or 'script' only"),
        ({"top": 'timing = "icount"'}, "oracle: not with timing = 'icount'"),
        ({"variant": 'swap = "zram"'}, "no variant has swap = 'pageshare'"),
        ({"variant": 'compressor = "lzo"'}, "variant one: compressor = 'lzo' cannot be read"),
        (
            {"variant": '[[variant.fault]]\nkind = "kill-store"\ncount = 1'},
            "variant one has faults",
        ),
        (
            {"domain": '[[domain]]\nname = "domU2"\nworkload = "pages"\nmemory_mib = 64\n'
             "quota_mib = 8\nswap_mib = 64"},
            "a domain whose workload is 'pages'",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(load, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        load(text(**changes))
    assert "\n" not in str(caught.value)


def test_the_shipped_experiment_looks_with_and_without_randomisation():
    experiment = load_experiment(shipped_or_given("ceiling"))
    assert experiment.oracle is not None
    assert {variant.randomize_va_space for variant in experiment.variants} == {0, 2}
