"""An experiment from its file to its summary: build, then boot and measure each variant."""

from __future__ import annotations

from orchestrator.runner.experiment import run_experiment
from orchestrator.runner.shape import describe_machine

__all__ = ["describe_machine", "run_experiment"]
