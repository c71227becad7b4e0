"""What domUs make: the same objects, objects of their own, or what a script prints."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.experiment.files import LONGEST_SCRIPT
from orchestrator.runner.expected import expected_objects
from orchestrator.runner.setting import Setting

FILE = """
name = "making"
title = "making"
[workload]
{workload}
[[variant]]
name = "all"
randomize_va_space = 2
[[variant]]
name = "one"
randomize_va_space = 2
domains = 1
[[domain]]
name = "domU1"
memory_mib = 64
quota_mib = 16
swap_mib = 80
[[domain]]
name = "domU2"
memory_mib = 64
quota_mib = 16
swap_mib = 80
{second}
"""
COMPILE = 'kind = "kernel-compile"\nobjects_file = "objects.txt"'
OTHERS = 'objects_file = "others.txt"'
SCRIPT = 'kind = "script"\nscript_file = "some.sh"'
MADE = {"kernel/sched/core.o": "1", "lib/vsprintf.o": "2", "lib/idr.o": "3"}


def text(workload=COMPILE, second=""):
    return FILE.format(workload=workload, second=second)


@pytest.fixture(autouse=True)
def _files(tmp_path):
    (tmp_path / "others.txt").write_text("lib/idr.o\nlib/vsprintf.o\n")
    (tmp_path / "some.sh").write_text("sort /work/linux/MAINTAINERS\n")


def own_digests(experiment):
    first = experiment.variants[0]
    return Setting(experiment, first, None, None, None, None).own_digests  # type: ignore[arg-type]


def test_all_build_the_same_unless_told_otherwise(load):
    experiment = load(text())
    assert {experiment.objects_of(one) for one in experiment.domains} == {experiment.objects}
    assert experiment.all_objects == experiment.objects
    assert expected_objects(MADE, experiment, experiment.variants[0]) == MADE
    assert not own_digests(experiment)


def test_a_domain_builds_objects_of_its_own(load):
    experiment = load(text(second=OTHERS))
    first, second = experiment.domains
    assert experiment.objects_of(first) == ("kernel/sched/core.o", "lib/vsprintf.o")
    assert experiment.objects_of(second) == ("lib/idr.o", "lib/vsprintf.o")
    assert set(experiment.all_objects) == MADE.keys()
    assert experiment.named_files == ("objects.txt", "others.txt")
    assert own_digests(experiment)
    both, one = experiment.variants
    assert expected_objects(MADE, experiment, both) == {
        "domU1: kernel/sched/core.o": "1",
        "domU1: lib/vsprintf.o": "2",
        "domU2: lib/idr.o": "3",
        "domU2: lib/vsprintf.o": "2",
    }
    assert len(expected_objects(MADE, experiment, one)) == 2


def test_a_script_is_read(load):
    experiment = load(text(SCRIPT))
    assert experiment.script == "sort /work/linux/MAINTAINERS\n"
    assert experiment.named_files == ("some.sh",)
    assert not own_digests(experiment)
    assert not {"script", "objects", "other_objects"} & experiment.model_dump(mode="json").keys()


@pytest.mark.parametrize(
    ("workload", "second", "said"),
    [
        (COMPILE, OTHERS.replace("others", "none"), "domain[2 domU2].objects_file = 'none.txt'"),
        (COMPILE, OTHERS.replace("others", "../o"), "must be a path inside the checkout"),
        (COMPILE, OTHERS + '\nworkload = "pages"', "domain domU2: objects_file: only in place"),
        (SCRIPT, OTHERS, "domain domU2: objects_file: only in place of the workload's own"),
        (SCRIPT.replace("some.sh", "none.sh"), "", "workload.script_file = 'none.sh': cannot be"),
        (SCRIPT.replace("some.sh", "/bin/sh"), "", "must be a path inside the checkout"),
        ('kind = "script"', "", "script_file must be given"),
        (SCRIPT + "\nresume = true", "", "resume: only a workload of kind 'kernel-compile'"),
        (
            COMPILE + '\nscript_file = "some.sh"',
            "",
            "script_file: only a workload of kind 'script'",
        ),
    ],
)
def test_a_mistake_is_one_line(load, workload, second, said):
    with pytest.raises(UserError) as caught:
        load(text(workload, second))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["objects", "script", "other_objects"])
def test_what_the_files_say_cannot_stand_in_the_experiment_itself(load, key):
    with pytest.raises(UserError, match=f"unknown key '{key}'"):
        load(f'{key} = "true"\n' + text())


@pytest.mark.parametrize("content", [b"", b" \n", b"a\0b", b"\xff", b"#" * (LONGEST_SCRIPT + 1)])
def test_what_sh_cannot_be_given_is_no_script(load, tmp_path, content):
    (tmp_path / "some.sh").write_bytes(content)
    with pytest.raises(UserError, match=r"workload.script_file = 'some.sh': "):
        load(text(SCRIPT))
