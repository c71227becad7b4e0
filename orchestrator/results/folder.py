"""A run's folder: ``results/<run id>/``, which tells all about the run.

::

    results/
     ├── latest -> <run id>
     └── <run id>/
          ├── manifest.json      first, atomically: what the run is made of
          ├── events.jsonl       what happened, one line each
          ├── samples.jsonl      one line a poll of the statistics
          ├── swap.jsonl         one line a look of a kernel at the swapped pages that it keeps
          ├── variants/NAME.json how a variant ended, and its table at the peak
          ├── oracle/NAME.json   what the oracle saw in a variant, where it looked
          ├── console/*.log      every console, whole
          ├── state/             disks of a run that can be resumed, while it is not complete
          ├── report.html
          └── summary.json       last: a folder without it is not complete
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel

from orchestrator.errors import UserError
from orchestrator.metrics.records import Peak
from orchestrator.metrics.samples import Sample
from orchestrator.metrics.swap import SwapSample
from orchestrator.results.manifest import Event, Manifest, now
from orchestrator.results.oracle import OracleFile
from orchestrator.results.outcome import VariantFile, VariantOutcome
from orchestrator.results.summary import Summary

__all__ = ["RunFolder", "new_run_id", "write_atomically"]

LATEST = "latest"


def new_run_id(experiment: str) -> str:
    """A folder name that sorts by time: ``20261101T101500Z-figure2``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{experiment}"


def write_atomically(path: Path, text: str) -> None:
    """Write ``path`` so that a reader sees the old file or the whole new one."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        temporary = Path(file.name)
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


class RunFolder:
    """An open run folder; closing it closes its logs. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ours = FileLock(path / ".lock")
        self._ours.acquire(blocking=False)
        self._lock = threading.Lock()
        self._events = _appender(path / "events.jsonl")
        self._samples = _appender(path / "samples.jsonl")

    @classmethod
    def create(cls, root: Path, manifest: Manifest, *, latest: bool = True) -> RunFolder:
        """Make ``root/<run id>``, write the manifest, and point ``root/latest`` to it.

        Args:
            latest: False for what is no run of an experiment.

        Raises:
            UserError: a run of that id is there, or the folder cannot be made.
        """
        path = root / manifest.run_id
        try:
            path.mkdir(parents=True)
            (path / "console").mkdir()
            (path / "variants").mkdir()
        except FileExistsError:
            raise UserError(f"{path}: a run with this id is there already; run again") from None
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{path}: cannot make the run's folder: {reason}") from None
        write_atomically(path / "manifest.json", _pretty(manifest))
        folder = cls(path)
        if latest:
            _point_latest(root, manifest.run_id)
        return folder

    @classmethod
    def resume(cls, root: Path, manifest: Manifest) -> RunFolder | None:
        """The newest interrupted run of the same experiment and artifacts, or None."""
        for path in sorted(root.glob("*/manifest.json"), reverse=True):
            run = path.parent
            if run.is_symlink() or (run / "summary.json").exists():
                continue
            if not _same_inputs(Manifest.model_validate_json(path.read_text("utf-8")), manifest):
                continue
            with suppress(Timeout):  # that one is not interrupted, it runs
                folder = cls(run)
                folder.event("resumed")
                _point_latest(root, run.name)
                return folder
        return None

    @property
    def run_id(self) -> str:
        """The run's id: the folder's name."""
        return self.path.name

    @property
    def console(self) -> Path:
        """Where consoles are kept."""
        return self.path / "console"

    def console_of(self, machine: str) -> Path:
        """A new folder for one machine's consoles: a resumed run has several of a name."""
        name, number = machine, 1
        while (self.console / name).exists():
            number += 1
            name = f"{machine}-{number}"
        return self.console / name

    def state_of(self, machine: str) -> Path:
        """Where a machine's disks live on until :meth:`drop_state`."""
        return self.path / "state" / machine

    def drop_state(self, machine: str) -> None:
        """Remove the disks of a machine whose work is done."""
        shutil.rmtree(self.state_of(machine), ignore_errors=True)

    def update_manifest(self, **changes: Any) -> Manifest:
        """Replace fields that were not known at the start (the benchmark's figures)."""
        path = self.path / "manifest.json"
        with self._lock:
            known = json.loads(path.read_text(encoding="utf-8"))
            manifest = Manifest.model_validate({**known, **changes})
            write_atomically(path, _pretty(manifest))
        return manifest

    def note_machine(self, purpose: str, argv: list[str]) -> None:
        """Add a machine's QEMU command to the manifest; the first one is the run's own."""
        known = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        self.update_manifest(
            qemu_command=known["qemu_command"] or argv,
            qemu_commands={**known["qemu_commands"], purpose: argv},
        )

    def event(self, event: str, detail: Mapping[str, Any] | None = None) -> None:
        """Append a line to ``events.jsonl``. ``detail`` must be JSON."""
        line = Event(
            at=now(), host_seconds=time.monotonic(), event=event, detail=dict(detail or {})
        )
        self._append(self._events, line)

    def append_sample(self, sample: Sample) -> None:
        """Append a line to ``samples.jsonl``."""
        self._append(self._samples, sample)

    def append_swap(self, samples: Iterable[SwapSample]) -> None:
        """Append lines to ``swap.jsonl``, which is there only where such samples are."""
        lines = "".join(map(_compact, samples))
        if lines:
            with self._lock, (self.path / "swap.jsonl").open("a", encoding="utf-8") as file:
                file.write(lines)

    def write_variant(
        self, outcome: VariantOutcome, peak: Peak | Mapping[str, Any] | None
    ) -> VariantFile:
        """Keep how a variant ended and the store's answer to ``peak``.

        Raises:
            UserError: the variant's name cannot be a file's name.
            pydantic.ValidationError: the store's answer is no peak.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", outcome.name):
            raise UserError(f"variant name {outcome.name!r}: only letters, digits, '_' and '-'")
        table = Peak.model_validate(peak) if isinstance(peak, Mapping) else peak
        file = VariantFile(outcome=outcome, peak=table)
        write_atomically(self.path / "variants" / f"{outcome.name}.json", _compact(file))
        return file

    def write_oracle(self, seen: OracleFile) -> Path:
        """Keep what the oracle saw in a variant."""
        path = self.path / "oracle" / f"{seen.variant}.json"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, _compact(seen))
        return path

    def write_report(self, html: str) -> Path:
        """Write ``report.html``."""
        path = self.path / "report.html"
        write_atomically(path, html)
        return path

    def write_summary(self, summary: Summary) -> Path:
        """Write ``summary.json``: the run is complete. Nothing is written after it."""
        path = self.path / "summary.json"
        write_atomically(path, _pretty(summary))
        return path

    def close(self) -> None:
        """Close the logs. May be called twice."""
        self._events.close()
        self._samples.close()
        self._ours.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, file: TextIOWrapper, line: BaseModel) -> None:
        text = _compact(line)
        with self._lock:
            file.write(text)


def _same_inputs(one: Manifest, other: Manifest) -> bool:
    def inputs(manifest: Manifest) -> tuple[str, dict[str, Any], dict[str, str]]:
        keys = {name: artifact.key for name, artifact in manifest.artifacts.items()}
        # the same file with other variants picked from it is another experiment
        return manifest.experiment.digest, manifest.experiment.content, keys

    return inputs(one) == inputs(other)


def _cut_torn_line(path: Path) -> None:
    """Remove a last line without its end: what was being written when the run died."""
    if path.exists():
        with path.open("rb+") as file:
            kept = file.read().rfind(b"\n") + 1
            file.truncate(kept)


def _appender(path: Path) -> TextIOWrapper:
    # Line by line, so that what was seen before a crash is there after it.
    _cut_torn_line(path)
    return path.open("a", encoding="utf-8", buffering=1)


def _point_latest(root: Path, run_id: str) -> None:
    temporary = root / f".{LATEST}.{run_id}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(run_id, target_is_directory=True)
    temporary.rename(root / LATEST)


def _json(model: BaseModel, **style: Any) -> str:
    # allow_nan: JSON has no NaN, and a missing figure is null
    return json.dumps(model.model_dump(mode="json"), allow_nan=False, **style) + "\n"


def _pretty(model: BaseModel) -> str:
    return _json(model, indent=2, ensure_ascii=False)


def _compact(model: BaseModel) -> str:
    return _json(model, separators=(",", ":"), ensure_ascii=False)
