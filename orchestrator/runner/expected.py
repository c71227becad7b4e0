"""What each domU must make, or its rounds over a working set read: the right digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from orchestrator.experiment import Experiment, Variant
from orchestrator.parts import Parts
from orchestrator.results.digests import of_domain
from orchestrator.runner.working_set import numbers_of, plan_of
from orchestrator.workloads import build_host_pagegen, expected_digests

__all__ = ["expected_objects", "expected_rounds"]

NAME = "working-set"


def expected_objects(
    made: Mapping[str, str], experiment: Experiment, variant: Variant
) -> dict[str, str]:
    """What a run without swap made; by domU and object, where each builds its own.

    Args:
        made: by the object's name: all that any domU builds.
    """
    if not experiment.other_objects:
        return dict(made)
    return {
        of_domain(domain.name, name): made[name]
        for domain in experiment.domains_of(variant)
        if not domain.pages_only
        for name in experiment.objects_of(domain)
    }


def expected_rounds(parts: Parts, experiment: Experiment, variant: Variant) -> dict[str, str]:
    """By domU and round, for all domUs of a variant; from the cache where they are there.

    The same program says so on this machine, from contents that it makes and never keeps.

    Raises:
        UserError: there is no compiler.
        InfrastructureError: the program does not compile, or fails.
    """
    cache, log = parts.context.cache, parts.context.log
    program = build_host_pagegen(cache, log=log)
    plan, numbers = plan_of(experiment, variant), numbers_of(experiment)
    expected: dict[str, str] = {}
    for domain in experiment.domains_of(variant):
        number = numbers[domain.name]

        def build(folder: Path, number: int = number) -> None:
            digests = expected_digests(program, plan, number, log)
            (folder / "digests.json").write_text(json.dumps(digests, indent=2) + "\n")

        inputs: dict[str, str | Path] = {
            "program": program,
            "arguments": " ".join(plan.arguments(number)),
        }
        artifact = cache.get(NAME, inputs, build, main="digests.json")
        digests: dict[str, str] = json.loads(artifact.path.read_text())
        expected |= {of_domain(domain.name, item): one for item, one in digests.items()}
    return expected
