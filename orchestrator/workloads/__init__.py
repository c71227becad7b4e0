"""What the domUs are made to do: builds, scripts, and pages of known contents."""

from orchestrator.workloads.domain_swap import DomainSwap, PageCounts, swapped_pages
from orchestrator.workloads.kernel_compile import CHECKPOINT_SECONDS, KernelCompile
from orchestrator.workloads.memory_watch import MemoryWatch, build_memwatch
from orchestrator.workloads.page_churn import Churned, PageChurn, RunningChurn
from orchestrator.workloads.page_loop import PageLoop, PageLoops
from orchestrator.workloads.page_stream import PageStream
from orchestrator.workloads.pagegen import (
    Kind,
    PageJob,
    build_host_pagegen,
    build_pagegen,
    start_pagegen,
)
from orchestrator.workloads.script import Script
from orchestrator.workloads.together import Watcher
from orchestrator.workloads.toolchain_job import JobResult, ToolchainJob
from orchestrator.workloads.working_set import (
    SetPlan,
    WorkingSet,
    WorkingSetResult,
    expected_digests,
)

__all__ = [
    "CHECKPOINT_SECONDS",
    "Churned",
    "DomainSwap",
    "JobResult",
    "KernelCompile",
    "Kind",
    "MemoryWatch",
    "PageChurn",
    "PageCounts",
    "PageJob",
    "PageLoop",
    "PageLoops",
    "PageStream",
    "RunningChurn",
    "Script",
    "SetPlan",
    "ToolchainJob",
    "Watcher",
    "WorkingSet",
    "WorkingSetResult",
    "build_host_pagegen",
    "build_memwatch",
    "build_pagegen",
    "expected_digests",
    "start_pagegen",
    "swapped_pages",
]
