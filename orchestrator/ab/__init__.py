"""``testbed ab``: the same work with and without kernel patches, again and again."""

from __future__ import annotations

from orchestrator.ab.figures import arms_of
from orchestrator.ab.plan import Step, plan
from orchestrator.ab.run import compare_run, run_ab

__all__ = ["Step", "arms_of", "compare_run", "plan", "run_ab"]
