"""An experiment file is read whole, or refused in one line that says what to do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment, shipped_experiments
from orchestrator.runner import describe_machine

CHECKOUT = Path(__file__).resolve().parents[3]
GOOD = """
name = "small"
title = "a small one"
[workload]
kind = "kernel-compile"
objects_file = "objects.txt"
[[variant]]
name = "default"
randomize_va_space = 2
[[variant]]
name = "off"
randomize_va_space = 0
[[domain]]
name = "domU1"
memory_mib = 64
quota_mib = 32
swap_mib = 128
[[domain]]
name = "domU2"
memory_mib = 64
quota_mib = 16
swap_mib = 128
[store]
mark_interval_ms = 250
"""


def test_a_good_file_is_read_whole(load):
    experiment = load(GOOD)
    assert [variant.randomize_va_space for variant in experiment.variants] == [2, 0]
    assert experiment.objects == ("kernel/sched/core.o", "lib/vsprintf.o")
    first = experiment.variants[0]
    assert experiment.arena_bytes(first) == 48 * 1024**2
    assert experiment.quota_bytes(experiment.domains[1], first) == 16 * 1024**2
    assert experiment.statistics.samples_per_second >= 1
    assert "objects" not in experiment.model_dump(mode="json")


def test_some_variants_of_it_alone(load):
    experiment = load(GOOD)
    assert [one.name for one in experiment.only(["off"]).variants] == ["off"]
    assert experiment.only(["off", "default"]) == experiment
    with pytest.raises(UserError, match="no variant 'of'; there are: default, off"):
        experiment.only(["off", "of"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory_mib = 64", "memory_mb = 64", ["domain[1 domU1].memory_mb", "64", "memory_mib"]),
        ("memory_mib = 64", "memory_mib = 6", ["memory_mib = 6 ", "from 32 to 4096"]),
        ("memory_mib = 64", 'memory_mib = "64"', ["memory_mib = '64'", "whole number"]),
        ("memory_mib = 64", "memory_mib = true", ["memory_mib = True", "whole number"]),
        ("va_space = 2", "va_space = 3", ["variant[1 default].randomize_va_space = 3", "0, 1, 2"]),
        ("[store]", "[stor]", ["unknown key 'stor'", "did you mean 'store'"]),
        ("kernel-compile", "make-tea", ["workload.kind = 'make-tea'", "'kernel-compile'"]),
        ('"domU2"', '"domU1"', ["domain", "used twice: domU1"]),
        ('"domU2"', '"dom U2"', ["name = 'dom U2'", "a letter, then"]),
        ('"domU2"', '"thirteen-long"', ["name = 'thirteen-long'", "a letter, then up to 11"]),
        ("[store]", "[store]\narena_mib = 10", ["store.arena_mib = 10", "at least that"]),
        ("ms = 250", "ms = 2500", ["store.mark_interval_ms = 2500", "from 50 to 1000"]),
        ("quota_mib = 32", "", ["missing key", "domain[1 domU1].quota_mib"]),
        ("objects_file", 'target = "vmlinux"\nobjects_file', ["workload", "exactly one of"]),
        ("objects.txt", "../objects.txt", ["workload.objects_file = '../objects.txt'", "inside"]),
        ("objects.txt", "none.txt", ["workload.objects_file = 'none.txt'", "one a line"]),
        ("[store]", "[store", ["not valid TOML", "line"]),
    ],
)
def test_a_bad_file_is_refused_in_one_line(load, old, new, said):
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        load(GOOD.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    for part in ["some.toml", *said]:
        assert part in message
    assert caught.value.exit_code == 2


def test_several_mistakes_are_counted(load):
    bad = GOOD.replace("swap_mib = 128", "swap_mib = 1")
    with pytest.raises(UserError, match=r"swap_mib = 1 .*\(and 1 more\)"):
        load(bad)


@pytest.mark.parametrize("text", ["", "# nothing\n", "two words.o\n", "readme.txt\n", "../x.o\n"])
def test_a_useless_list_of_objects_is_refused(load, tmp_path, text):
    (tmp_path / "objects.txt").write_text(text)
    with pytest.raises(UserError, match="kernel objects such as"):
        load(GOOD)


def test_a_missing_file_names_those_that_exist(tmp_path):
    folder = tmp_path / "testbed" / "experiments"
    folder.mkdir(parents=True)
    (folder / "known.toml").touch()
    with pytest.raises(UserError, match=r"no such experiment file; there are: .*known\.toml"):
        load_experiment(tmp_path / "other.toml", checkout=tmp_path)


def test_the_shipped_experiments_are_good():
    found = {path.stem: load_experiment(path) for path in shipped_experiments()}
    known = "ab baselines baselines-4 baselines-pages baselines-time ceiling debug faults figure2 "
    known += "hostile kernel-full pagerate repeatability "
    known += "second-look second-look-sources second-look-words"
    assert set(known.split()) == set(found)
    for name, experiment in found.items():
        assert experiment.name == name
    for name in ("figure2", "kernel-full"):
        assert {variant.randomize_va_space for variant in found[name].variants} == {2, 0}
        assert len(found[name].domains) == 2
    assert found["kernel-full"].workload.resume
    assert found["kernel-full"].objects == ("vmlinux",)
    first, second = map(
        found["second-look-sources"].objects_of, found["second-look-sources"].domains
    )
    assert not set(first) & set(second)
    objects = found["figure2"].objects
    assert len(objects) >= 12
    assert {"kernel/sched/core.o", "lib/vsprintf.o"} <= set(objects)


def test_the_shipped_faults_strike_as_often_as_promised():
    experiment = load_experiment(CHECKOUT / "testbed/experiments/faults.toml")
    struck = {v.name: [(f.kind, f.count) for f in v.faults] for v in experiment.variants}
    assert struck == {
        "store-killed": [("kill-store", 50)],
        "domain-destroyed": [("destroy-domain", 20)],
        "store-frozen": [("freeze-store", 20)],
        "store-frozen-long": [("freeze-store", 5)],
    }
    assert [v.name for v in experiment.variants if v.expect != "OK"] == ["store-frozen-long"]
    with_victim = [v.name for v in experiment.variants if len(experiment.domains_of(v)) == 3]
    assert with_victim == ["domain-destroyed", "store-frozen-long"]


def test_every_variant_of_the_shipped_experiments_is_a_machine_that_can_be():
    for path in shipped_experiments():
        experiment = load_experiment(path)
        for variant in experiment.variants:
            machine = describe_machine(experiment, variant)
            off = [
                "xen-pageshare.enabled=0" in domain.kernel_arguments for domain in machine.domains
            ]
            has_it = variant.swap not in ("pageshare", "zswap")  # zswap's kernel has none
            assert all(off) if has_it else not any(off)
            assert {domain.kernel for domain in machine.domains} == {variant.domu_kernel}


def test_the_baselines_are_a_matrix_that_runs_in_an_evening():
    experiment = load_experiment(CHECKOUT / "testbed/experiments/baselines.toml")
    assert len(experiment.variants) <= 24
    swaps = {variant.swap for variant in experiment.variants}
    assert swaps == {"none", "disk", "zram", "zswap", "dom0-zram", "pageshare"}
    for variant in experiment.variants:
        domains = describe_machine(experiment, variant).domains
        if variant.name.startswith("budget-"):
            in_dom0 = [one.quota_bytes // 2**20 + one.swap_device.limit_mib for one in domains]
            assert sum(one.memory_mib for one in domains) + sum(in_dom0) == 320
        elif variant.swap != "none":
            assert {one.memory_mib for one in domains} == {136}


def test_the_shipped_files_say_nothing_twice():
    for path in shipped_experiments():
        tomllib.loads(path.read_text())
        assert path.read_text().startswith("#"), "says what it is for"
