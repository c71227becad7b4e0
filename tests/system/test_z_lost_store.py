"""A store that does not come back: its pages end in an error, never in stale bytes.

Last by its name, since it takes the session's store away.
"""

from __future__ import annotations

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from tests.system.pages import Pages

NUMBER = 400
PATIENCE = "/sys/module/xen_pageshare/parameters/load_timeout_ms"


def test_lost_page_is_an_error_and_the_rest_goes_on(pages: Pages) -> None:
    ssh = pages.domain("domU1").ssh
    ssh.run(f"echo 3000 >{PATIENCE}", deadline=Deadline.after(60))
    with pages.held("domU1", NUMBER, "text", seed=51, pageout=True) as (job, held):
        assert held["swapped_kib"] > 4 * NUMBER * 0.9
        pages.machine.store.stop(Deadline.after(60))
        with pytest.raises(WorkloadFailed, match="SIGBUS"):
            pages.bring_back(job)
    assert pages.counters("domU1")["load_error_timeout"] > 0

    # the domU lives, and swaps to its disk once the window is full
    with pages.held("domU1", 2 * NUMBER, "random", seed=52, pageout=True) as (job, held):
        assert held["swapped_kib"] > 4 * NUMBER * 0.9
        assert pages.bring_back(job)["mismatches"] == 0
    assert pages.counters("domU1")["reject_no_buffer"] > 0
