"""Experiments: what is run, described by a TOML file and checked before anything is built."""

from __future__ import annotations

from orchestrator.experiment.load import load_experiment, shipped_experiments
from orchestrator.experiment.model import (
    Domain,
    Experiment,
    Limits,
    Statistics,
    Store,
    Variant,
    Workload,
)

__all__ = [
    "Domain",
    "Experiment",
    "Limits",
    "Statistics",
    "Store",
    "Variant",
    "Workload",
    "load_experiment",
    "shipped_experiments",
]
