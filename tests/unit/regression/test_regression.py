"""Runs against earlier ones: what may be compared, what is said, and how it is written down."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.compare import Criteria
from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment, shipped_or_given
from orchestrator.regression import compare_runs, differences, junit_xml, markdown, repeated
from orchestrator.results import RunFolder, read_run
from orchestrator.results.manifest import ArtifactEntry
from tests.unit.results.synthetic import manifest, mark, outcome, parsed, peak_of, sample

TIMES = 10


@pytest.fixture
def make_run(tmp_path):
    """A run of one variant, repeated on the counted clock, that takes ``factor`` times as long."""

    def make_run(name, factor=1.0, times=TIMES, **changes):
        names = tuple(f"store-p0-r{number:03}" for number in range(1, times + 1))
        described = manifest(name, names)
        content = described.experiment.content | {"timing": "icount"} | changes.pop("content", {})
        update = {"content": content, "files": changes.pop("files", {})}
        experiment = described.experiment.model_copy(update=update)
        described = described.model_copy(update={"experiment": experiment, **changes})
        with RunFolder.create(tmp_path, described) as folder:
            for number, variant in enumerate(names):
                ended = outcome(variant, 2)
                seconds = factor * (100 + number % 3) + 0.001 * number
                update = {"instruction_seconds": seconds, "guest_seconds": None}
                domains = [one.model_copy(update=update) for one in ended.domains]
                record = mark(number)
                folder.append_sample(sample(variant, 1.0, [parsed(record)]))
                folder.write_variant(ended.model_copy(update={"domains": domains}), peak_of(record))
        return read_run(folder.path)

    return make_run


def test_five_percent_more_time_is_worse_and_nothing_else_is(make_run):
    (one,) = compare_runs([make_run("a")], [make_run("b", 1.05)], Criteria())
    assert (one.experiment, one.variant, one.worse) == ("synthetic", "store", ["guest time"])


def test_the_same_again_is_not_worse(make_run):
    (one,) = compare_runs([make_run("a")], [make_run("b")], Criteria())
    assert one.worse == []


def test_too_few_runs_are_said_and_not_called_worse(make_run):
    (one,) = compare_runs([make_run("a", times=2)], [make_run("b", 1.05, times=2)], Criteria())
    assert one.worse == []
    (time, *_) = one.comparison.results
    assert (time.verdict, time.base_samples) == ("unclear", 2)
    assert time.needed is not None and time.needed > 2


OTHER_KERNEL = {"artifacts": {"kernel": ArtifactEntry(key="9" * 64, digest="e" * 64, inputs={})}}


@pytest.mark.parametrize(
    ("changes", "variable", "said"),
    [
        ({"content": {"timing": "realtime"}}, "project", "clock: timing: icount and realtime"),
        ({"content": {"seed": 7}}, "project", "experiment: seed"),
        ({"files": {"objects.txt": "8" * 64}}, "project", "names: [] and ['objects.txt']"),
        (OTHER_KERNEL, "nothing", "kernel: artifacts"),
        (OTHER_KERNEL, "host", "kernel: artifacts"),
    ],
)
def test_what_differs_in_something_else_is_not_compared(make_run, changes, variable, said):
    base, other = make_run("a"), make_run("b", **changes)
    with pytest.raises(UserError) as caught:
        compare_runs([base], [other], Criteria(), variable=variable)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert compare_runs([base], [other], Criteria(), variable=variable, force=True)


@pytest.mark.parametrize("variable", ["kernel", "project"])
def test_what_may_differ_is_compared(make_run, variable):
    base, other = make_run("a"), make_run("b", **OTHER_KERNEL)
    assert compare_runs([base], [other], Criteria(), variable=variable)
    assert differences(base.manifest, other.manifest, variable) == []


def image_by(builder):
    inputs = {"builder": builder}
    return {
        "artifacts": {"domu_image": ArtifactEntry(key="1" * 64, digest="2" * 64, inputs=inputs)}
    }


def test_images_of_two_builders_are_compared_by_force_alone(make_run):
    base = make_run("a", **image_by("debian"))
    other = make_run("b", **image_by("buildroot"))
    with pytest.raises(UserError, match="image builder: domU images: debian and buildroot"):
        compare_runs([base], [other], Criteria(), variable="project")
    assert compare_runs([base], [other], Criteria(), variable="project", force=True)


def test_who_was_asked_for_images_is_no_difference_where_the_builder_is_the_same(make_run):
    asked = {"domu": {"image": {"builder": "debian", "toolchain": None}}}
    base = make_run("a", **image_by("debian"))
    other = make_run("b", content=asked, **image_by("debian"))
    assert differences(base.manifest, other.manifest) == []


def test_how_a_run_is_called_and_how_often_it_repeats_is_no_difference(make_run):
    content = {"title": "other", "limits": {"boot_seconds": 9}, "name": "other"}
    base, other = make_run("a", times=3), make_run("b", times=4, content=content)
    assert differences(base.manifest, other.manifest) == []


def test_it_is_written_down_for_machines_and_for_people(make_run):
    compared = compare_runs([make_run("a")], [make_run("b", 1.05)], Criteria())
    failed = [("hostile", "GUEST_PANIC\nOops")]
    root = ElementTree.fromstring(junit_xml(compared, failed))
    suite, runs = root.findall("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("synthetic", "1", "1")
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "worse: guest time"
    assert "guest time" in failure.text
    assert runs.get("errors") == "1"
    text = markdown(compared, failed)
    assert "**synthetic, store: worse** in guest time" in text
    assert "**hostile did not end well**: GUEST_PANIC" in text
    assert "Nothing got worse" in markdown([])


def test_every_variant_is_repeated_with_seeds_of_its_own():
    experiment = load_experiment(shipped_or_given("ab"))
    again = repeated(experiment, 3)
    assert [one.name for one in again.variants] == [f"pageshare-p0-r00{n}" for n in (1, 2, 3)]
    assert len({one.seed for one in again.variants}) == 3
    assert {one.patches for one in again.variants} == {0}


@pytest.fixture
def command(monkeypatch):
    def command(*words):
        return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=True)

    return command


def test_the_exit_code_says_whether_something_got_worse(make_run, command):
    base, same, slow = make_run("a"), make_run("b"), make_run("c", 1.05)
    assert command("compare", base.path, same.path).exit_code == 0
    done = command("compare", base.path, slow.path)
    assert done.exit_code == 1
    assert "worse" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "one"], "at least two runs"),
        (["nightly", "ab", "--variable", "weather"], "it is one of nothing, kernel"),
        (["nightly", "ab", "--smallest-effect", "2"], "--smallest-effect"),
        (["nightly", "ab", "--baseline", "nowhere"], "no baseline of ab; testbed nightly --save"),
    ],
)
def test_a_mistake_is_one_line(command, words, said):
    done = command(*words)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
