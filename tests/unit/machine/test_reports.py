"""Which lines of a console are reports of a kernel, and which are its everyday words."""

from __future__ import annotations

import pytest

from orchestrator.machine import kernel_reports

REPORTS = [
    "BUG: KASAN: slab-out-of-bounds in decode+0x4c/0x1a0",
    "BUG: KASAN: use-after-free in pageshare_load+0x10/0x20",
    "WARNING: possible circular locking dependency detected",
    "WARNING: inconsistent lock state",
    "WARNING: suspicious RCU usage",
    "BUG: sleeping function called from invalid context at mm/page_alloc.c:5",
    "BUG: scheduling while atomic: swapper/0/0/0x00000002",
    "WARNING: CPU: 1 PID: 12 at drivers/xen/pageshare/ring.c:99 take_response+0x1/0x2",
    "UBSAN: array-index-out-of-bounds in drivers/xen/pageshare/ring.c:10:3",
    "ODEBUG: free active (active state 0) object type: work_struct",
    "list_del corruption. prev->next should be ffff, but was 0000",
    "pagealloc: memory corruption",
    "INFO: trying to register non-static key.",
    "INFO: task pagegen:99 blocked for more than 120 seconds.",
    "rcu: INFO: rcu_sched self-detected stall on CPU",
    "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    "kernel BUG at mm/swapfile.c:1234!",
    "Unable to handle kernel paging request at virtual address 0000000000000010",
    "Internal error: Oops: 0000000096000004 [#1] SMP",
    "BUG: Bad page state in process pagegen  pfn:4567",
    "Kernel panic - not syncing: Oops: Fatal exception",
]
EVERYDAY = """\
[    0.000000] kasan: KernelAddressSanitizer initialized (generic)
[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    0.000000] rcu: Hierarchical RCU implementation.
[    0.000000] rcu: \tRCU lockdep checking is enabled.
[    0.000000] rcu: \tRCU CPU stall warnings timeout set to 120 (rcu_cpu_stall_timeout).
[    1.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15000)
[   41.909938] hrtimer: interrupt took 881949376 ns
[   88.239051] xen-pageshare: the store broke the protocol, leaving it
[  132.312432] frontswap: cannot load page 32788 of swap type 0
[   68.356596] pageshare pageshare-0: 22 the store takes 0 data pages, 256 are granted
"""


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_is_found_with_its_line(report):
    text = f"{EVERYDAY}[  140.000000] {report}\r\n{EVERYDAY}"
    assert kernel_reports(text) == [f"[  140.000000] {report}"]


def test_everyday_words_are_none():
    assert kernel_reports(EVERYDAY) == []
