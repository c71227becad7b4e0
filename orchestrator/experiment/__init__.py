"""Experiments: what is run, described by a TOML file and checked before anything is built."""

from __future__ import annotations

from orchestrator.experiment.domu import Domu, DomuImage
from orchestrator.experiment.faults import Fault, FaultKind
from orchestrator.experiment.load import load_experiment, shipped_experiments, shipped_or_given
from orchestrator.experiment.model import (
    Domain,
    Experiment,
    Limits,
    Statistics,
    Store,
)
from orchestrator.experiment.oracle import Oracle
from orchestrator.experiment.second_look import SecondLook
from orchestrator.experiment.variant import SlowDisk, Swap, Variant
from orchestrator.experiment.workload import MAKING, Mix, Shares, Workload, WorkloadKind

__all__ = [
    "MAKING",
    "Domain",
    "Domu",
    "DomuImage",
    "Experiment",
    "Fault",
    "FaultKind",
    "Limits",
    "Mix",
    "Oracle",
    "SecondLook",
    "Shares",
    "SlowDisk",
    "Statistics",
    "Store",
    "Swap",
    "Variant",
    "Workload",
    "WorkloadKind",
    "load_experiment",
    "shipped_experiments",
    "shipped_or_given",
]
