"""Check a finished run's folder: schemas, figures, and the table at its peak."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.results.build import build_summary
from orchestrator.results.oracle import oracle_problems
from orchestrator.results.outcome import VariantFile
from orchestrator.results.read import Run, read_run
from orchestrator.results.schema import violations
from orchestrator.results.summary import VariantSummary

__all__ = ["verify_run"]


def verify_run(run_dir: Path) -> list[str]:
    """What is wrong with a run's folder, one finding each; empty where all is well.

    Every file is checked against its kept schema, every figure of the summary
    is computed again from the samples, and the parts must add up. A verdict
    other than OK is no finding: a failed run's folder may be flawless.
    """
    if not (run_dir / "summary.json").exists():
        return [f"{run_dir}: summary.json is missing: the run is not complete"]
    findings = list(_files(run_dir))
    if findings:
        return findings
    try:
        run = read_run(run_dir)
    except UserError as error:
        return [str(error)]
    assert run.summary is not None
    findings = list(_differences(run))
    for variant in run.summary.variants:
        findings += _sums(variant)
    for name, file in run.variants.items():
        findings += [f"variants/{name}.json: {what}" for what in _table(file)]
    for name, seen in run.oracle.items():
        findings += [f"oracle/{name}.json: {what}" for what in oracle_problems(seen)]
    return findings


def _files(run_dir: Path) -> Iterator[str]:
    for name in ("manifest", "summary"):
        yield from _document(run_dir / f"{name}.json", name)
    for path in sorted((run_dir / "variants").glob("*.json")):
        yield from _document(path, "variant")
    for path in sorted((run_dir / "oracle").glob("*.json")):
        yield from _document(path, "oracle")
    for name, schema in (("events", "event"), ("samples", "sample")):
        yield from _lines(run_dir / f"{name}.jsonl", schema)
    if (run_dir / "swap.jsonl").exists():
        yield from _lines(run_dir / "swap.jsonl", "swap")
    if not (run_dir / "report.html").is_file():
        yield "report.html: missing"


def _document(path: Path, schema: str) -> Iterator[str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (OSError, ValueError) as error:
        yield f"{path.name}: {error}"
        return
    yield from (f"{path.name}: {what}" for what in violations(schema, document))


def _lines(path: Path, schema: str) -> Iterator[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        yield f"{path.name}: {error}"
        return
    for number, line in enumerate(lines, 1):
        try:
            document = json.loads(line, parse_constant=_no_constant)
        except ValueError as error:
            yield f"{path.name}:{number}: {error}"
            continue
        yield from (f"{path.name}:{number}: {what}" for what in violations(schema, document))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON: a missing figure is null")


def _differences(run: Run) -> Iterator[str]:
    assert run.summary is not None
    kept = run.summary.model_dump(mode="json")
    again = build_summary(run).model_dump(mode="json")
    yield from (f"summary.json: {what}" for what in _compare("", kept, again))


def _compare(key: str, kept: object, again: object) -> Iterator[str]:
    if isinstance(kept, dict) and isinstance(again, dict):
        for name in sorted(set(kept) | set(again)):
            yield from _compare(f"{key}.{name}" if key else name, kept.get(name), again.get(name))
    elif isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        for index, (one, other) in enumerate(zip(kept, again, strict=True)):
            yield from _compare(f"{key}[{index}]", one, other)
    elif isinstance(kept, float) and isinstance(again, (int, float)):
        if not math.isclose(kept, again, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{key} is {kept}, but the samples give {again}"
    elif kept != again:
        yield f"{key} is {kept!r}, but the samples give {again!r}"


def _sums(variant: VariantSummary) -> Iterator[str]:
    if variant.reduction is None:
        return
    parts = (
        variant.same_filled,
        variant.compression,
        variant.sharing_within,
        variant.sharing_between,
    )
    second = (variant.twins, variant.near_twins, variant.recompression)
    total = sum(part for part in parts + second if part is not None)
    if None in parts or not math.isclose(total, variant.reduction, abs_tol=1e-9):
        yield f"{variant.name}: the parts sum to {total}, the reduction is {variant.reduction}"


def _table(file: VariantFile) -> Iterator[str]:
    """The table's copy against the MARK that was taken with it."""
    peak = file.peak
    if peak is None or peak.mark is None:
        return
    table = peak.mark.table
    if len(peak.entries) != table.entries:
        yield f"{len(peak.entries)} entries, but the MARK counts {table.entries}"
    payload = sum(length for _, _, length in peak.entries)
    if payload != table.payload_bytes:
        yield f"lengths sum to {payload} bytes, but the MARK says {table.payload_bytes}"
    if len({page for page, _, _ in peak.entries}) != len(peak.entries):
        yield "a page id is there twice"
    counted = {str(n): c for n, c in Counter(sharers for _, sharers, _ in peak.entries).items()}
    if counted != {n: c for n, c in peak.sharing_histogram.items() if c}:
        yield f"the histogram is {peak.sharing_histogram}, but the entries give {counted}"
