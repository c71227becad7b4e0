"""Did anything get worse? Runs against earlier ones, for people and for a nightly job."""

from __future__ import annotations

from orchestrator.regression.against import Against, compare_runs
from orchestrator.regression.comparable import VARIABLES, Variable, differences
from orchestrator.regression.junit import junit_xml
from orchestrator.regression.markdown import markdown
from orchestrator.regression.repeat import repeated

__all__ = [
    "VARIABLES",
    "Against",
    "Variable",
    "compare_runs",
    "differences",
    "junit_xml",
    "markdown",
    "repeated",
]
