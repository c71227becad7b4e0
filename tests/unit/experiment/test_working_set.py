"""Working sets in experiment files: read whole, or refused in one line; and eight domUs."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment, shipped_or_given
from orchestrator.experiment.model import KERNEL_MIB
from orchestrator.machine.payload import domain_config, store_config
from orchestrator.runner import describe_machine
from orchestrator.runner.working_set import numbers_of, plan_of

FILE = """
name = "set"
title = "a set"
seed = 9
[workload]
kind = "working-set"
pages = 16384
rounds = 3
rewrite = 0.25
shares = { zero = 1, equal = 2, similar = 3, text = 4 }
[[variant]]
name = "zram"
randomize_va_space = 2
swap = "zram"
[[variant]]
name = "again"
randomize_va_space = 2
seed = 4
[[domain]]
name = "domU1"
variants = ["again"]
memory_mib = 64
quota_mib = 16
swap_mib = 80
[[domain]]
name = "domU2"
memory_mib = 64
quota_mib = 16
swap_mib = 80
"""


def test_a_set_is_read_whole(load):
    experiment = load(FILE)
    zram, again = experiment.variants
    plan = plan_of(experiment, zram)
    assert (plan.pages, plan.rounds, plan.rewrite, plan.similar_words) == (16384, 3, 0.25, 8)
    assert plan.shares == {"zero": 1, "equal": 2, "similar": 3, "text": 4, "random": 0}
    assert (plan.seed, plan_of(experiment, again).seed) == (9, 4)
    words = plan.arguments(3)
    assert words[words.index("--rewrite") + 1] == "250"
    assert words[words.index("--shares") + 1] == "zero:1,equal:2,similar:3,text:4"
    assert words[words.index("--domain") + 1] == "3"


def test_a_domain_has_its_number_in_every_variant(load):
    experiment = load(FILE)
    assert [one.name for one in experiment.domains_of(experiment.variants[0])] == ["domU2"]
    assert numbers_of(experiment) == {"domU1": 0, "domU2": 1}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pages = 16384\n", "", ["pages and shares must be given"]),
        ("rewrite = 0.25", "rewrite = 25", ["workload.rewrite = 25", "a number from 0 to 1"]),
        ("rewrite = 0.25", "similar_words = 0", ["similar_words = 0", "from 1 to 64"]),
        ("zero = 1, equal = 2, similar = 3, text = 4", "zero = 0", ["part above 0"]),
        ("equal = 2", "same = 2", ["workload.shares.same", "allowed: zero, equal"]),
        ("shares =", "mix =", ["unknown key 'workload.mix.equal'"]),
        ("shares =", "mix = { text = 1 }\nshares =", ["mix: only", "'page-stream'"]),
        ('swap = "zram"', 'swap = "none"', ["64 MiB", "memory_mib = 96 or more, and it has 64"]),
        ("swap_mib = 80", "swap_mib = 64", ["swap_mib = 64", "64 MiB", "more than that"]),
        ("swap_mib = 80", 'swap_mib = 80\nworkload = "pages"', ["'pages' does not go with"]),
        ("seed = 4", 'seed = 4\nlies_to = "domU1"', ["lies_to is for the workload 'churn'"]),
        ('kind = "working-set"', 'kind = "working-sets"', ["'churn', 'working-set'"]),
        (
            "seed = 4",
            'seed = 4\nfault = [{ kind = "kill-store", count = 1 }]',
            ["faults need a workload.objects_file"],
        ),
    ],
)
def test_a_bad_set_is_refused_in_one_line(load, old, new, said):
    assert old in FILE
    with pytest.raises(UserError) as caught:
        load(FILE.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    for part in ["some.toml", *said]:
        assert part in message


def test_a_set_can_go_by_counted_instructions(load):
    assert load(FILE.replace("seed = 9", 'seed = 9\ntiming = "icount"')).timing == "icount"


@pytest.fixture
def shipped():
    return load_experiment(shipped_or_given("baselines-pages"))


def test_the_shipped_matrix_fits_into_its_machines(shipped):
    for variant in shipped.variants:
        description = describe_machine(shipped, variant)
        assert len(description.domains) == variant.domains
        room = (description.domains[0].memory_mib - KERNEL_MIB) << 20
        assert (room > shipped.workload.pages * 4096) == (variant.swap == "none")


def test_eight_domains_have_a_place_each(shipped):
    (variant,) = shipped.only(["pageshare-8"]).variants
    description = describe_machine(shipped, variant)
    assert len({one.address for one in description.domains}) == 8
    assert len({one.mac for one in description.domains}) == 8
    configurations = [domain_config(one) for one in description.domains]
    assert len(set(configurations)) == 8
    for domain, text in zip(description.domains, configurations, strict=True):
        assert f'name = "{domain.name}"' in text
        assert f"scratch.{domain.name},xvdd,w" in text
        assert f"swap.{domain.name},xvde,w" in text
    assert store_config(description).count("[[domain]]") == 8
