"""One bit of dom0's memory flips: it is found, and nobody gets the wrong byte."""

from __future__ import annotations

import pytest

from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from tests.system.pages import Pages

NUMBER = 300
FLIP = """
import mmap, struct
with open("/run/pageshare/state/arena", "r+b") as file, mmap.mmap(file.fileno(), 0) as arena:
    granule, whole = 1, []
    while True:
        word, = struct.unpack_from("<Q", arena, granule * 8)
        length = word & 0xFFFF
        if not word:
            break
        if length == 4096:
            whole.append(granule)
        granule += (length + 15) // 8 if length else word >> 32
    at = (whole[len(whole) // 2] + 1) * 8 + 1234
    arena[at] ^= 0x10
    print(len(whole))
"""


def test_flipped_bit_is_found_by_verify_and_at_load(pages: Pages) -> None:
    before = pages.counters("domU1")
    # random pages are kept whole: no other page of the domU is
    with pages.held("domU1", NUMBER, "random", seed=81, pageout=True) as (job, _):
        assert pages.store("verify")["problems"] == []
        flipped = pages.machine.dom0.ssh.run(["python3", "-c", FLIP], deadline=Deadline.after(60))
        assert int(flipped.stdout) >= NUMBER * 0.9
        (problem,) = pages.store("verify")["problems"]
        assert "its bytes have changed" in problem
        with pytest.raises(WorkloadFailed, match="SIGBUS"):
            pages.bring_back(job)
    after = pages.counters("domU1")
    assert after["load_error_status"] == before["load_error_status"] + 1
    assert after["load_error_corrupt"] == before["load_error_corrupt"]
    refused = pages.store("stats")["domains"]["domU1"]["requests"]["refused_damaged"]
    assert refused >= 1

    # the rest goes on
    with pages.held("domU1", NUMBER, "random", seed=82, pageout=True) as (job, _):
        assert pages.store("verify")["problems"] == []
        assert pages.bring_back(job)["mismatches"] == 0
