"""Read a run's folder back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from orchestrator.errors import UserError
from orchestrator.metrics.collector import VariantSamples
from orchestrator.metrics.samples import Sample
from orchestrator.metrics.swap import SwapSample
from orchestrator.results.manifest import Event, Manifest
from orchestrator.results.oracle import OracleFile
from orchestrator.results.outcome import VariantFile
from orchestrator.results.summary import Summary

__all__ = ["Run", "read_run"]

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """All that a run's folder holds."""

    path: Path
    manifest: Manifest
    events: list[Event]
    samples: dict[str, VariantSamples]
    """By variant, in the order in which they ran."""
    swap: dict[str, list[SwapSample]]
    """What kernels said of the swapped pages that they keep, by variant."""
    variants: dict[str, VariantFile]
    """In the order of the experiment."""
    oracle: dict[str, OracleFile] = field(default_factory=dict)
    """What the oracle saw, by variant."""
    summary: Summary | None = field(default=None)
    """None where the run is not complete."""

    def swap_of(self, variant: str) -> list[SwapSample]:
        """What kernels said in a variant; empty where nobody asked."""
        return self.swap.get(variant, [])

    def samples_of(self, variant: str) -> VariantSamples:
        """A variant's samples; empty where there are none."""
        return self.samples.get(variant, VariantSamples(variant))


def read_run(run_dir: Path) -> Run:
    """Read a run, complete or not.

    Raises:
        UserError: there is no run there, or a file in it is not what it should be.
    """
    manifest_path = run_dir / "manifest.json"
    if not manifest_path.is_file():
        raise UserError(f"{run_dir}: not a run's folder: it has no manifest.json")
    manifest = _model(manifest_path, Manifest)
    samples: dict[str, VariantSamples] = {}
    for number, line in _lines(run_dir / "samples.jsonl"):
        sample = _parse(line, Sample, f"{run_dir / 'samples.jsonl'}:{number}")
        samples.setdefault(sample.variant, VariantSamples(sample.variant)).samples.append(sample)
    swap: dict[str, list[SwapSample]] = {}
    for number, line in _lines(run_dir / "swap.jsonl"):
        looked = _parse(line, SwapSample, f"{run_dir / 'swap.jsonl'}:{number}")
        swap.setdefault(looked.variant, []).append(looked)
    events = [
        _parse(line, Event, f"{run_dir / 'events.jsonl'}:{number}")
        for number, line in _lines(run_dir / "events.jsonl")
    ]
    found = {one.stem: one for one in sorted((run_dir / "variants").glob("*.json"))}
    planned = [one["name"] for one in manifest.experiment.content.get("variant", [])]
    order = [name for name in planned if name in found]
    order += [name for name in found if name not in planned]
    summary = run_dir / "summary.json"
    return Run(
        path=run_dir,
        manifest=manifest,
        events=events,
        samples=samples,
        swap=swap,
        variants={name: _model(found[name], VariantFile) for name in order},
        oracle={
            one.stem: _model(one, OracleFile) for one in sorted((run_dir / "oracle").glob("*.json"))
        },
        summary=_model(summary, Summary) if summary.is_file() else None,
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines; a last one that was cut off by a crash is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.endswith("\n") and line.strip():
                yield number, line


def _model(path: Path, model: type[T]) -> T:
    return _parse(path.read_text(encoding="utf-8"), model, str(path))


def _parse(text: str, model: type[T], where: str) -> T:
    try:
        found = json.loads(text).get("schema_version", 1)
        required = getattr(model.model_fields.get("schema_version"), "default", found)
        if found != required:
            raise UserError(f"{where}: schema version {found} found, {required} required")
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        raise UserError(f"{where}: {key}: {first['msg']}") from None
    except (ValueError, AttributeError) as error:
        raise UserError(f"{where}: not valid JSON: {error}") from None
