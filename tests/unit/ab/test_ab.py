"""From patches and repetitions to runs, and from their summaries to what is said of them."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from orchestrator.ab import Step, arms_of, compare_run, plan, rates_of
from orchestrator.ab.figures import METRICS_OF, figures_of
from orchestrator.ab.run import COMPARISON, keep_comparison
from orchestrator.compare import METRICS, Criteria, rates_table
from orchestrator.errors import UserError
from orchestrator.experiment import load_experiment
from orchestrator.experiment.load import CHECKOUT
from orchestrator.results import RunFolder, read_run
from orchestrator.results.build import build_summary
from orchestrator.runner import describe_machine
from tests.unit.results.synthetic import manifest, mark, outcome, parsed, peak_of, sample


@pytest.fixture
def experiment():
    loaded = load_experiment(CHECKOUT / "testbed/experiments/repeatability.toml")
    (variant,) = loaded.only(["idle-1"]).variants
    return loaded.model_copy(
        update={"variant": (variant.model_copy(update={"name": "pageshare"}),)}
    )


def test_arms_are_interleaved_and_take_turns_at_going_first(experiment):
    planned, steps = plan(experiment, patches=2, repeat=3)
    assert [one.name for one in planned.variants] == [
        "pageshare-p0-r001", "pageshare-p2-r001",
        "pageshare-p2-r002", "pageshare-p0-r002",
        "pageshare-p0-r003", "pageshare-p2-r003",
    ]  # fmt: skip
    assert steps == [Step(0, 2)]
    assert steps[0].names == ("base", "2 patches")


def test_a_repetition_has_one_seed_in_all_arms(experiment):
    planned, _ = plan(experiment, patches=1, repeat=4)
    seeds = {}
    for one in planned.variants:
        seeds.setdefault(one.name[-4:], set()).add(one.seed)
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == 4


def test_each_patch_can_be_a_step_of_its_own(experiment):
    planned, steps = plan(experiment, patches=3, repeat=1, each=True)
    assert [one.patches for one in planned.variants] == [0, 1, 2, 3]
    assert steps == [Step(0, 1), Step(1, 2), Step(2, 3)]


def test_arms_differ_in_the_domus_kernel_alone(experiment):
    planned, _ = plan(experiment, patches=1, repeat=1)
    base, other = (describe_machine(planned, one) for one in planned.variants)
    assert {one.kernel for one in base.domains} == {"pageshare"}
    assert {one.kernel for one in other.domains} == {"pageshare-p1"}
    same = [one.model_copy(update={"kernel": "pageshare"}) for one in other.domains]
    assert other.with_domains(same) == base


@pytest.mark.parametrize(("patches", "repeat"), [(0, 3), (1, 0)])
def test_nothing_to_compare_is_said(experiment, patches, repeat):
    with pytest.raises(UserError, match="nothing to compare"):
        plan(experiment, patches, repeat)


def test_what_is_shipped_gives_pairs_of_streams():
    shipped = load_experiment(CHECKOUT / "testbed/experiments/ab.toml")
    assert (shipped.timing, shipped.workload.kind) == ("icount", "page-stream")
    assert len(METRICS_OF["page-stream"]) <= 4  # each one more costs the others power


def test_what_is_compared_is_known_to_the_statistics():
    known = {metric.name for metric in METRICS}
    assert set.union(*map(set, METRICS_OF.values())) <= known


@pytest.fixture
def run(tmp_path, experiment):
    """Twelve repetitions; the patched kernel takes ``factor`` times the base's time."""

    def run(factor, *, broken=()):
        planned, steps = plan(experiment, patches=1, repeat=12)
        described = manifest("run", ())
        entry = described.experiment.model_copy(update={"content": planned.model_dump(mode="json")})
        described = described.model_copy(update={"experiment": entry})
        with RunFolder.create(tmp_path, described) as folder:
            for number, variant in enumerate(planned.variants):
                noise = 1 + 0.01 * (variant.seed % 5)
                seconds = 100 * noise * (factor if variant.patches else 1) + 0.001 * number
                ended = outcome(variant.name, 2)
                changes = {"instruction_seconds": seconds, "guest_seconds": None}
                changes |= {"swapped_out_pages": 5000, "swapped_in_pages": 900}
                domains = [one.model_copy(update=changes) for one in ended.domains]
                update = {"domains": domains}
                if variant.name in broken:
                    update |= {"verdict": "GUEST_PANIC", "reason": "Oops"}
                record = mark(number)
                folder.append_sample(sample(variant.name, 1.0, [parsed(record)]))
                folder.write_variant(ended.model_copy(update=update), peak_of(record))
            summary = build_summary(read_run(folder.path))
            folder.write_summary(summary)
            return folder.path, summary, steps

    return run


@pytest.fixture
def summary(run):
    """Of such a run, with its steps."""

    def summary(factor, *, broken=()):
        _, summary, steps = run(factor, broken=broken)
        return summary, steps

    return summary


def compared(summary, steps):
    (comparison,) = compare_run(summary, steps, ["pageshare"], Criteria()).values()
    return {one.metric.name: one for one in comparison.results}


def test_a_patch_that_costs_five_percent_is_worse(summary):
    found = compared(*summary(1.05))
    assert found["guest_seconds"].verdict == "worse"
    assert found["guest_seconds"].change == pytest.approx(0.05, abs=0.001)
    assert found["payload_bytes"].verdict == "no change"


def test_a_patch_that_helps_is_better(summary):
    assert compared(*summary(0.9))["guest_seconds"].verdict == "better"


def test_a_patch_that_does_nothing_is_said_to(summary):
    assert compared(*summary(1.0))["guest_seconds"].verdict == "no change"


def test_a_repetition_that_failed_gives_no_figures_and_is_told(summary):
    done, steps = summary(1.05, broken={"pageshare-p1-r003"})
    arms = arms_of(done)
    assert len(arms["pageshare", 0]) == 12
    assert sorted(arms["pageshare", 1]) == [1, 2, *range(4, 13)]
    assert compared(done, steps)["guest_seconds"].only_base == (3,)


def test_a_figure_that_a_domain_lacks_is_none(summary):
    done, _ = summary(1.0)
    variant = done.variants[0]
    domains = [*variant.domains]
    domains[0] = domains[0].model_copy(update={"swapped_out_pages": None})
    figures = figures_of(variant.model_copy(update={"domains": domains}))
    assert figures["pages_out"] is None
    assert figures["pages_in"] == 1800


@pytest.mark.parametrize(("factor", "verdict"), [(1.05, "worse"), (1.0, "no change")])
def test_error_rates_of_a_run_are_by_its_own_criteria(run, factor, verdict):
    folder, done, steps = run(factor)
    keep_comparison(folder, compare_run(done, steps, ["pageshare"], Criteria(smallest_effect=0.02)))
    (found,) = rates_of(folder, draws=40, seed=1)
    assert (found.variant, found.step) == ("pageshare", Step(0, 1))
    assert found.rates.apart.verdicts["guest_seconds"][verdict] > 0.8
    assert found.rates.alike.any_claim < 0.1
    assert rates_of(folder, draws=40, seed=1) == [found]


def test_error_rates_fit_a_terminal_of_80_columns(run):
    folder, done, steps = run(1.05)
    keep_comparison(folder, compare_run(done, steps, ["pageshare"], Criteria()))
    (found,) = rates_of(folder, draws=20)
    console = Console(width=80, file=StringIO())
    console.print(rates_table(found.rates, found.metrics))
    said = console.file.getvalue()
    assert "guest time" in said and "worse" in said
    assert "…" not in said


@pytest.mark.parametrize("text", [None, "[]{", '[{"variant": 1}]'])
def test_what_is_no_comparison_is_told(run, text):
    folder, _, _ = run(1.0)
    if text is not None:
        (folder / COMPARISON).write_text(text)
    with pytest.raises(UserError, match=r"comparison\.json"):
        rates_of(folder, draws=5)
