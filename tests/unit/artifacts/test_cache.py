from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Cache
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def write_word(folder: Path) -> None:
    (folder / "word").write_text("payload")


def test_built_once_and_found_again(cache: Cache) -> None:
    calls: list[Path] = []

    def build(folder: Path) -> None:
        calls.append(folder)
        write_word(folder)

    first = cache.get("thing", {"version": "1"}, build, main="word")
    second = cache.get("thing", {"version": "1"}, build, main="word")

    assert len(calls) == 1
    assert first == second
    assert first.path.read_text() == "payload"
    assert len(first.key) == 64
    assert first.folder == cache.root / "thing" / first.key


def test_an_artifact_records_its_inputs_and_its_digest(cache: Cache) -> None:
    artifact = cache.get("thing", {"version": "1"}, write_word, main="word")
    record = json.loads((artifact.folder / "artifact.json").read_text())
    assert record["inputs"] == {"version": "1"}
    assert record["digest"] == artifact.digest
    assert artifact.digest == "239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5"


def test_the_key_changes_with_every_input(cache: Cache, tmp_path: Path) -> None:
    source = tmp_path / "source.c"
    source.write_text("int x;")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("a")
    inputs: dict[str, str | Path] = {"version": "1", "source": source, "folder": folder}

    def key() -> str:
        return cache.key("thing", inputs)[0]

    seen = [key()]
    assert key() == seen[0]
    assert cache.key("other", inputs)[0] != seen[0]
    inputs["version"] = "2"
    seen.append(key())
    source.write_text("int y;")
    seen.append(key())
    (folder / "a").write_text("b")
    seen.append(key())
    (folder / "a").rename(folder / "b")
    seen.append(key())
    (folder / "b").chmod(0o755)
    seen.append(key())
    (folder / "link").symlink_to("b")
    seen.append(key())
    inputs["another"] = ""
    seen.append(key())
    assert len(set(seen)) == len(seen)


def test_names_and_values_of_inputs_do_not_run_together(cache: Cache) -> None:
    assert cache.key("thing", {"a": "bc"})[0] != cache.key("thing", {"ab": "c"})[0]


def test_a_big_input_that_changes_is_noticed(cache: Cache, tmp_path: Path) -> None:
    big = tmp_path / "tarball"
    big.write_bytes(b"a" * (2 << 20))
    before = cache.key("thing", {"source": big})[0]
    assert cache.key("thing", {"source": big})[0] == before
    big.write_bytes(b"b" * (3 << 20))
    assert cache.key("thing", {"source": big})[0] != before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_build_leaves_nothing(cache: Cache, error: type[BaseException]) -> None:
    def interrupted(folder: Path) -> None:
        write_word(folder)
        raise error

    with pytest.raises(error):
        cache.get("thing", {}, interrupted, main="word")

    assert not list((cache.root / "building").iterdir())
    assert not (cache.root / "thing").exists()
    assert cache.get("thing", {}, write_word, main="word").path.read_text() == "payload"


def test_what_a_killed_build_left_is_swept_and_never_used(cache: Cache) -> None:
    key, _ = cache.key("thing", {})
    left = cache.root / "building" / f"thing-{key[:16]}-dead"
    left.mkdir(parents=True)
    (left / "word").write_text("half")

    artifact = cache.get("thing", {}, write_word, main="word")

    assert artifact.path.read_text() == "payload"
    assert not left.exists()


def test_a_folder_without_a_record_is_built_again(cache: Cache) -> None:
    key, _ = cache.key("thing", {})
    broken = cache.root / "thing" / key
    broken.mkdir(parents=True)
    (broken / "word").write_text("half")
    assert cache.get("thing", {}, write_word, main="word").path.read_text() == "payload"


def test_two_builders_of_one_key_build_once(cache: Cache) -> None:
    calls: list[int] = []

    def slow(folder: Path) -> None:
        calls.append(1)
        time.sleep(0.2)
        write_word(folder)

    def get() -> None:
        results.append(cache.get("thing", {}, slow, main="word").digest)

    results: list[str] = []
    threads = [threading.Thread(target=get) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert len(results) == 3
    assert len(set(results)) == 1


def test_waiting_for_another_builder_has_a_deadline(cache: Cache) -> None:
    started = threading.Event()
    release = threading.Event()

    def stuck(folder: Path) -> None:
        started.set()
        release.wait(10)

    thread = threading.Thread(target=lambda: cache.get("thing", {}, stuck))
    thread.start()
    started.wait(10)
    try:
        with pytest.raises(InfrastructureError, match="another build of thing"):
            cache.get("thing", {}, stuck, deadline=Deadline.after(0.1))
    finally:
        release.set()
        thread.join()


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "own"))
    assert Cache.of_user().root == tmp_path / "own"
    monkeypatch.delenv("TESTBED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache.of_user().root == tmp_path / "xdg" / "pageshare-testbed"
