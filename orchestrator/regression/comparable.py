"""Whether two runs may be compared: what they were made of, thing by thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.ab.plan import repetition_of
from orchestrator.results.manifest import Manifest

__all__ = ["VARIABLES", "Variable", "differences"]

Variable = Literal["nothing", "kernel", "project", "host", "qemu"]
"""What two runs may differ in on purpose."""

VARIABLES: Mapping[Variable, frozenset[str]] = {
    "nothing": frozenset(),
    "kernel": frozenset({"kernel"}),
    "project": frozenset({"kernel", "project", "images"}),
    "host": frozenset({"host"}),
    "qemu": frozenset({"qemu"}),
}
"""What may differ then. Two clocks are never compared, and neither are two workloads, nor
domUs whose images two builders made."""

_NOT_OF_THE_WORK = frozenset({"name", "title", "description", "warm_start", "limits", "domu"})
"""Of an experiment file: how it is called, how long one waits, who is asked for images."""


@dataclass(frozen=True)
class _Difference:
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


def differences(base: Manifest, other: Manifest, variable: Variable = "nothing") -> list[str]:
    """What is different though it must not be, in words; empty where they may be compared."""
    allowed = VARIABLES[variable]
    return [str(one) for one in _all(base, other) if one.what not in allowed]


def _all(base: Manifest, other: Manifest) -> list[_Difference]:
    found: list[_Difference] = []

    def add(what: str, detail: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            found.append(_Difference(what, f"{detail}: {_shown(ours)} and {_shown(theirs)}"))

    contents = base.experiment.content, other.experiment.content
    clocks = [content.get("timing", "realtime") for content in contents]
    add("clock", "timing", *clocks)
    ours, theirs = map(_work, contents)
    for key in sorted(ours.keys() | theirs.keys()):
        add("experiment", key, ours.get(key), theirs.get(key))
    add(
        "experiment",
        "files that it names",
        [],
        _changed(base.experiment.files, other.experiment.files),
    )
    add("project", "commit", base.project.commit, other.project.commit)
    add("image builder", "domU images", _builder(base), _builder(other))
    artifacts = _changed(_keys(base), _keys(other))
    kernels = [name for name in artifacts if name.startswith("kernel")]
    images = [name for name in artifacts if name not in kernels]
    add("kernel", "artifacts", [], kernels)
    add("kernel", "series", _patches(base), _patches(other))
    add("images", "artifacts", [], images)
    add("qemu", "version", base.versions.get("qemu"), other.versions.get("qemu"))
    add("host", "CPUs", base.host.cpus, other.host.cpus)
    add("host", "model", base.host.model, other.host.model)
    return found


def _work(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the guests do. A variant's repetitions are not more of it."""
    kept = {key: value for key, value in content.items() if key not in _NOT_OF_THE_WORK}
    kept.pop("timing", None)
    names = [str(one["name"]) for one in content.get("variant", [])]
    found = [(name, repetition_of(name)) for name in names]
    # with patches it is other work, whose whole name counts
    kept["variant"] = sorted(
        {one.variant if one and not one.patches else name for name, one in found}
    )
    return kept


def _changed(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Names that have another digest, or that one of them lacks."""
    names = sorted(ours.keys() | theirs.keys())
    return [name for name in names if ours.get(name) != theirs.get(name)]


def _keys(manifest: Manifest) -> dict[str, str]:
    return {name: artifact.key for name, artifact in manifest.artifacts.items()}


def _patches(manifest: Manifest) -> list[tuple[str, str]]:
    return [(patch.name, patch.digest) for patch in manifest.patches]


def _builder(manifest: Manifest) -> str | None:
    image = manifest.artifacts.get("domu_image")
    return image.inputs.get("builder") if image else None


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
