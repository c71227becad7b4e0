"""How a variant starts, what its guests draw their randomness from, and which kernel they boot."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.build import with_patches
from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment, shipped_or_given
from orchestrator.runner import describe_machine
from orchestrator.runner.setting import Setting


def setting(name, **variant):
    experiment = load_experiment(shipped_or_given(name))
    first = experiment.variants[0].model_copy(update=variant)
    return Setting(experiment, first, None, None, None, None)  # type: ignore[arg-type]


def seeds(one):
    return one.seeds(describe_machine(one.experiment, one.variant))


def test_the_counted_clock_starts_warm_unless_it_is_told_not_to():
    assert setting("repeatability").starts_warm
    assert not setting("figure2").starts_warm
    for wanted in (True, False):
        one = setting("figure2")
        experiment = one.experiment.model_copy(update={"warm_start": wanted})
        again = Setting(experiment, one.variant, None, None, None, None)  # type: ignore[arg-type]
        assert again.starts_warm is wanted


def test_a_build_that_resumes_has_disks_of_its_own():
    one = setting("kernel-full")
    experiment = one.experiment.model_copy(update={"warm_start": True})
    assert not Setting(experiment, one.variant, None, None, None, None).starts_warm  # type: ignore[arg-type]


def test_seeds_follow_from_the_seed_alone_and_differ_between_domains():
    first, again, other = (seeds(setting("repeatability", seed=n)) for n in (1, 1, 2))
    assert first == again
    assert first.keys() == {"dom0", "domU1", "domU2"}
    assert len(set(first.values()) | set(other.values())) == 6
    assert seeds(setting("figure2")) is None


def test_domains_begin_apart_only_where_repetitions_are_to_differ():
    assert setting("repeatability").skew == {}
    first, again = (setting("repeatability", seed=3).skew for _ in range(2))
    assert first == again
    assert len(set(first.values())) == 2


def test_a_variant_that_wants_more_patches_than_there_are_is_refused():
    one = setting("repeatability", patches=2)
    parts = SimpleNamespace(kernels={})
    with pytest.raises(UserError, match=r"patches = 2, but there are 0: testbed ab"):
        with_patches(parts, [one.variant], [], None)  # type: ignore[arg-type]


def test_a_name_that_is_no_experiment_is_told_which_are():
    with pytest.raises(UserError, match="nosuch: no such experiment; shipped are ab, baselines"):
        shipped_or_given("nosuch")
