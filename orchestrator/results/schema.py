"""The JSON schemas of the files in a run's folder, kept in the tree.

``write_all`` writes them from the models; a test fails where they differ.
Files are checked against the *kept* schemas, so that a change of a model
cannot silently change what old readers rely on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]
from pydantic import BaseModel

from orchestrator.metrics.samples import Sample
from orchestrator.metrics.swap import SwapSample
from orchestrator.results.manifest import Event, Manifest
from orchestrator.results.oracle import OracleFile
from orchestrator.results.outcome import VariantFile
from orchestrator.results.summary import Summary

__all__ = ["MODELS", "SCHEMAS", "generate", "violations", "write_all"]

SCHEMAS = Path(__file__).parent / "schemas"

MODELS: dict[str, type[BaseModel]] = {
    "event": Event,
    "manifest": Manifest,
    "oracle": OracleFile,
    "sample": Sample,
    "summary": Summary,
    "swap": SwapSample,
    "variant": VariantFile,
}
"""Schema name (``schemas/<name>.schema.json``) to the model that it is made from."""


def generate(name: str) -> dict[str, Any]:
    """The schema of a model, as it is now."""
    schema = MODELS[name].model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_all() -> None:
    """Write every schema into the tree."""
    SCHEMAS.mkdir(exist_ok=True)
    for name in MODELS:
        text = json.dumps(generate(name), indent=2) + "\n"
        (SCHEMAS / f"{name}.schema.json").write_text(text, encoding="utf-8")


@cache
def _validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def violations(name: str, document: object) -> Iterator[str]:
    """Where ``document`` breaks the kept schema: ``key: what``, one each."""
    for error in _validator(name).iter_errors(document):
        yield f"{error.json_path.removeprefix('$').lstrip('.') or 'document'}: {error.message}"
