"""A summary for a merge request or a mail."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.compare import sentence
from orchestrator.regression.against import Against

__all__ = ["markdown"]


def markdown(compared: Sequence[Against], failed: Sequence[tuple[str, str]] = ()) -> str:
    """What got worse first, then all figures."""
    worse = [one for one in compared if one.worse]
    lines = ["# Against the baseline", ""]
    if failed:
        lines += [f"- **{name} did not end well**: {why.splitlines()[0]}" for name, why in failed]
    if worse:
        lines += [
            f"- **{one.experiment}, {one.variant}: worse** in {', '.join(one.worse)}"
            for one in worse
        ]
    if not (failed or worse):
        lines.append("Nothing got worse.")
    for one in compared:
        lines += ["", f"## {one.experiment}, {one.variant}", ""]
        lines += [f"- {sentence(each, one.comparison.criteria)}" for each in one.comparison.results]
    return "\n".join(lines) + "\n"
