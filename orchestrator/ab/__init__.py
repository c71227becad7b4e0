"""``testbed ab``: the same work with and without kernel patches, again and again."""

from __future__ import annotations

from orchestrator.ab.figures import arms_of
from orchestrator.ab.plan import Step, plan
from orchestrator.ab.rates import StepRates, rates_of
from orchestrator.ab.run import compare_run, run_ab

__all__ = ["Step", "StepRates", "arms_of", "compare_run", "plan", "rates_of", "run_ab"]
