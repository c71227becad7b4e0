"""The end of a run: figures, report, and last of all the summary."""

from __future__ import annotations

from orchestrator.results.build import build_summary
from orchestrator.results.folder import RunFolder
from orchestrator.results.read import read_run
from orchestrator.results.summary import Summary

__all__ = ["finish_run"]


def finish_run(folder: RunFolder) -> Summary:
    """Compute the figures from the folder, write the report, then the summary; close the logs.

    The summary is written even where the report cannot be made: the figures
    are what the run was for. ``render_report`` makes the report again.

    Raises:
        UserError: a file of the folder is not what it should be.
    """
    from orchestrator.results.report import report_html  # altair takes a second to import

    folder.close()
    run = read_run(folder.path)
    summary = build_summary(run)
    try:
        folder.write_report(report_html(run, summary))
    finally:
        folder.write_summary(summary)
    return summary
