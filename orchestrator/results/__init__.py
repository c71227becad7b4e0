"""What a run leaves behind: its folder, summary, verdict, table and report."""

from __future__ import annotations

from orchestrator.results.finish import finish_run
from orchestrator.results.folder import RunFolder, new_run_id
from orchestrator.results.manifest import (
    ArtifactEntry,
    Event,
    ExperimentEntry,
    HostEntry,
    Manifest,
    PatchEntry,
    Project,
)
from orchestrator.results.oracle import (
    OracleDomain,
    OracleFile,
    OracleMemory,
    OraclePages,
    OracleTable,
)
from orchestrator.results.outcome import (
    ChurnFigures,
    DomainOutcome,
    FaultOutcome,
    HostileFigures,
    Latency,
    LatencyFigures,
    PageStreamFigures,
    VariantFile,
    VariantOutcome,
    Verdict,
    WorkingSetFigures,
)
from orchestrator.results.read import Run, read_run
from orchestrator.results.summary import DomainSummary, Summary, VariantSummary
from orchestrator.results.table import result_table
from orchestrator.results.verify import verify_run

__all__ = [
    "ArtifactEntry",
    "ChurnFigures",
    "DomainOutcome",
    "DomainSummary",
    "Event",
    "ExperimentEntry",
    "FaultOutcome",
    "HostEntry",
    "HostileFigures",
    "Latency",
    "LatencyFigures",
    "Manifest",
    "OracleDomain",
    "OracleFile",
    "OracleMemory",
    "OraclePages",
    "OracleTable",
    "PageStreamFigures",
    "PatchEntry",
    "Project",
    "Run",
    "RunFolder",
    "Summary",
    "VariantFile",
    "VariantOutcome",
    "VariantSummary",
    "Verdict",
    "WorkingSetFigures",
    "finish_run",
    "new_run_id",
    "read_run",
    "result_table",
    "verify_run",
]
