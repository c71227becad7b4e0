"""A run's folder is written in its order, and checked against its schemas and samples."""

from __future__ import annotations

import json

import pytest

from orchestrator.errors import UserError
from orchestrator.results import RunFolder, finish_run, new_run_id, read_run, verify_run
from orchestrator.results.build import build_summary
from orchestrator.results.folder import write_atomically
from orchestrator.results.schema import MODELS, SCHEMAS, generate, violations
from tests.unit.results.synthetic import manifest, mark, outcome, parsed, peak_of, sample, write_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = write_run(tmp_path_factory.mktemp("results"), steps=40)
    finish_run(RunFolder(path))
    return path


@pytest.fixture
def copy(finished, tmp_path):
    for source in finished.rglob("*"):
        if source.is_file():
            target = tmp_path / source.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", MODELS)
def test_the_kept_schema_is_the_models(name):
    kept = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    assert kept == generate(name), "run orchestrator.results.schema.write_all()"


def test_every_kept_schema_has_a_model():
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.iterdir()} == set(MODELS)


def test_the_manifest_is_first_and_latest_points_to_it(tmp_path):
    with RunFolder.create(tmp_path, manifest("run-1")) as first:
        assert json.loads((first.path / "manifest.json").read_text())["run_id"] == "run-1"
        assert not (first.path / "summary.json").exists()
    assert (tmp_path / "latest").readlink().name == "run-1"
    RunFolder.create(tmp_path, manifest("run-2")).close()
    assert (tmp_path / "latest").resolve() == tmp_path / "run-2"
    with pytest.raises(UserError, match="run-2"):
        RunFolder.create(tmp_path, manifest("run-2"))


def test_run_ids_sort_by_time():
    assert new_run_id("figure2").endswith("Z-figure2")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "summary.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_there_before_the_folder_is_closed(tmp_path):
    folder = RunFolder.create(tmp_path, manifest("run"))
    folder.event("boot", {"seconds": 3})
    folder.append_sample(sample("default", 0.0, [parsed(mark(0))]))
    assert json.loads((folder.path / "events.jsonl").read_text())["detail"] == {"seconds": 3}
    assert len((folder.path / "samples.jsonl").read_text().splitlines()) == 1
    folder.close()


def test_the_manifest_can_take_the_benchmark_later(tmp_path):
    with RunFolder.create(tmp_path, manifest("run")) as folder:
        folder.update_manifest(benchmark={"boot_seconds": 21.5, "load_p99_microseconds": None})
        assert read_run(folder.path).manifest.benchmark["boot_seconds"] == 21.5
        with pytest.raises(ValueError, match="benchmrk"):
            folder.update_manifest(benchmrk={})


def test_a_variants_name_cannot_leave_the_folder(tmp_path):
    with (
        RunFolder.create(tmp_path, manifest("run")) as folder,
        pytest.raises(UserError, match="variant name"),
    ):
        folder.write_variant(outcome("../../x", 2), None)


def test_a_finished_run_is_found_to_be_right(finished):
    assert verify_run(finished) == []
    document = json.loads((finished / "summary.json").read_text())
    assert list(violations("summary", document)) == []
    assert document["verdict"] == "OK"
    for variant in document["variants"]:
        parts = ("same_filled", "compression", "sharing_within", "sharing_between")
        assert sum(variant[part] for part in parts) == pytest.approx(variant["reduction"])
        assert variant["books_closed"] is True
        assert variant["digests_equal"] is True
        assert 1 - variant["footprint_bytes"] / variant["logical_bytes"] == pytest.approx(
            variant["net_reduction"]
        )
        at_peak = sum(domain["logical_bytes_at_peak"] for domain in variant["domains"])
        assert at_peak == variant["logical_bytes"]


def change(path, edit):
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_a_figure_that_the_samples_do_not_give_is_found(copy):
    change(copy / "summary.json", lambda it: it["variants"][0].update(reduction=0.99))
    findings = verify_run(copy)
    assert any("variants[0].reduction is 0.99" in finding for finding in findings)
    assert any("parts sum to" in finding for finding in findings)


def test_a_key_that_the_schema_does_not_know_is_found(copy):
    change(copy / "summary.json", lambda it: it.update(extra=1))
    assert any("extra" in finding for finding in verify_run(copy))


def test_a_missing_figure_must_be_null(copy):
    text = (copy / "summary.json").read_text()
    (copy / "summary.json").write_text(
        text.replace('"net_reduction": 0', '"net_reduction": NaN ,"x": 0', 1)
    )
    assert any("NaN" in finding for finding in verify_run(copy))


def test_a_table_that_does_not_fit_its_mark_is_found(copy):
    change(copy / "variants" / "default.json", lambda it: it["peak"]["entries"].pop())
    assert any("entries, but the MARK counts" in finding for finding in verify_run(copy))


def test_a_missing_summary_means_not_complete(copy):
    (copy / "summary.json").unlink()
    assert any("summary.json" in finding for finding in verify_run(copy))


def test_a_last_line_cut_by_a_crash_does_not_spoil_the_rest(copy):
    with (copy / "samples.jsonl").open("a") as file:
        file.write('{"variant": "nor')
    assert set(read_run(copy).samples) == {"default", "norandom"}


def test_reading_says_what_is_wrong(copy, tmp_path):
    with pytest.raises(UserError, match=r"no manifest\.json"):
        read_run(tmp_path / "nothing")
    change(copy / "manifest.json", lambda it: it.update(schema_version=7))
    with pytest.raises(UserError, match="version 7 found, 1 required"):
        read_run(copy)


def test_the_stores_peak_is_used_where_samples_were_lost(tmp_path):
    highest = mark(7, pages=(1500, 1500))
    with RunFolder.create(tmp_path, manifest("run", ("default",))) as folder:
        folder.append_sample(sample("default", 1.0, [parsed(mark(6)), parsed(mark(8))]))
        folder.write_variant(outcome("default", 2), peak_of(highest))
        variant = build_summary(read_run(folder.path)).variants[0]
    assert variant.peak.source == "store"
    assert variant.logical_bytes == 3000 * 4096
    assert variant.domains[0].logical_bytes_peak == 1500 * 4096


def test_a_stale_peak_of_the_store_is_not_used(tmp_path):
    with RunFolder.create(tmp_path, manifest("run", ("default",))) as folder:
        folder.append_sample(sample("default", 1.0, [parsed(mark(6, pages=(1500, 1500)))]))
        folder.write_variant(outcome("default", 2), peak_of(mark(2)))
        variant = build_summary(read_run(folder.path)).variants[0]
    assert variant.peak.source == "samples"
    assert variant.logical_bytes == 3000 * 4096
    assert variant.sharing_histogram is None
    assert any("higher peak" in warning for warning in variant.warnings)


def test_an_interrupted_run_is_found_again_and_goes_on(tmp_path):
    with RunFolder.create(tmp_path, manifest("run-1")) as first:
        first.append_sample(sample("default", 0.0, [parsed(mark(0))]))
        first.state_of("default").mkdir(parents=True)
    with (first.path / "samples.jsonl").open("a") as file:
        file.write('{"variant": "default", "cut')  # the host died while it wrote
    resumed = RunFolder.resume(tmp_path, manifest("run-2"))
    assert resumed is not None and resumed.path == first.path
    resumed.append_sample(sample("default", 1.0, [parsed(mark(1))]))
    assert RunFolder.resume(tmp_path, manifest("run-2")) is None, "it runs: it is not interrupted"
    resumed.close()
    run = read_run(first.path)
    assert [one.seconds for one in run.samples["default"].samples] == [0.0, 1.0]
    assert [one.event for one in run.events] == ["resumed"]


def test_only_the_same_experiment_and_artifacts_go_on(tmp_path):
    RunFolder.create(tmp_path, manifest("run-1")).close()
    other = manifest("run-2")
    entry = other.experiment.model_copy(update={"digest": "0" * 64})
    assert RunFolder.resume(tmp_path, other.model_copy(update={"experiment": entry})) is None
    artifacts = {name: a.model_copy(update={"key": "0"}) for name, a in other.artifacts.items()}
    assert artifacts
    assert RunFolder.resume(tmp_path, other.model_copy(update={"artifacts": artifacts})) is None


def test_a_complete_run_does_not_go_on(copy, finished):
    known = read_run(copy).manifest
    run = copy.parent / "runs" / known.run_id
    run.parent.mkdir()
    copy.rename(run)
    assert RunFolder.resume(run.parent, known) is None


def test_each_machine_of_a_resumed_run_has_its_own_consoles(tmp_path):
    with RunFolder.create(tmp_path, manifest("run")) as folder:
        folder.console_of("default").mkdir()
        assert folder.console_of("default").name == "default-2"
