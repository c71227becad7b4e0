"""What kernels say of swapped pages, and the figures at the peak."""

from __future__ import annotations

import pytest

from orchestrator.metrics.swap import SwapSample, swap_sample
from orchestrator.metrics.swap_peak import decompose_swap, find_swap_peak, swap_moments

SWAPS = """\
Filename				Type		Size		Used		Priority
/dev/zram0                              partition	131068		8200		-2
/dev/xvde                               partition	65532		400		-3
"""
MM_STAT = "  8192000  2300000  2600960        0  2700000      300      40        0        0\n"


def domu(seconds, domain="domU1", **figures):
    return SwapSample(variant="v", domain=domain, place="domU", seconds=seconds, **figures)


def dom0(seconds, domain="domU1", **figures):
    return SwapSample(variant="v", domain=domain, place="dom0", seconds=seconds, **figures)


def test_zram_is_charged_for_its_table():
    files = {"swaps": SWAPS, "mm_stat": MM_STAT, "disksize": "134217728\n", "pool": None}
    sample = swap_sample("v", "domU1", "domU", 1.5, files)
    assert sample.slots_used_pages == 2150
    assert (sample.kept_pages, sample.same_filled_pages) == (2000, 300)
    assert sample.payload_bytes == 2_300_000
    assert sample.memory_bytes == 2_600_960 + 32768 * 16


def test_zswap_does_not_say_how_much_is_payload():
    unused = {"mm_stat": "0 0 0 0 0 0 0 0 0\n", "disksize": "0\n"}
    files = {"swaps": SWAPS, "stored": "1000\n", "same": "100\n", "pool": "1200000\n", **unused}
    sample = swap_sample("v", "domU1", "domU", 0, files)
    assert (sample.kept_pages, sample.same_filled_pages) == (1000, 100)
    assert sample.payload_bytes is None
    assert sample.memory_bytes == 1_200_000 + 1000 * 64


@pytest.mark.parametrize("files", [{"swaps": SWAPS.splitlines()[0] + "\n"}, {"swaps": None}])
def test_who_keeps_nothing_says_nothing_of_it(files):
    sample = swap_sample("v", "domU1", "domU", 0, files | {"mm_stat": None, "stored": None})
    assert sample.slots_used_pages == (0 if files["swaps"] else None)
    assert sample.kept_pages is sample.payload_bytes is sample.memory_bytes is None


def test_the_peak_is_of_all_domains_together():
    samples = [
        domu(0.0, slots_used_pages=10, kept_pages=10, payload_bytes=1000, memory_bytes=4096),
        domu(1.0, "domU2", slots_used_pages=500, kept_pages=500, payload_bytes=9, memory_bytes=10),
        domu(2.0, slots_used_pages=900, kept_pages=900, payload_bytes=7, memory_bytes=20),
        domu(3.0, "domU2", slots_used_pages=300, kept_pages=300, payload_bytes=5, memory_bytes=6),
        domu(4.0, slots_used_pages=1000, kept_pages=1000, payload_bytes=8, memory_bytes=21),
    ]
    peak = find_swap_peak(samples)
    assert (peak.seconds, peak.logical_pages) == (2.0, 1400)
    assert [moment.logical_pages for moment in swap_moments(samples)] == [10, 510, 1400, 1200, 1300]


def test_what_dom0_keeps_beyond_what_is_swapped_costs_and_saves_nothing():
    samples = [
        domu(1.0, slots_used_pages=100),
        dom0(1.1, kept_pages=150, same_filled_pages=20, payload_bytes=50_000, memory_bytes=60_000),
    ]
    peak = find_swap_peak(samples)
    assert (peak.logical_pages, peak.swapped_pages, peak.coverage) == (100, 100, 1.0)
    parts = decompose_swap(peak)
    assert parts.logical_bytes == 409_600
    assert parts.reduction == pytest.approx(1 - 50_000 / 409_600)
    assert parts.net_reduction == pytest.approx(1 - 60_000 / 409_600)
    assert (parts.store_footprint_bytes, parts.frontend_bytes) == (60_000, 0)


def test_the_parts_add_up():
    figures = {"same_filled_pages": 30, "payload_bytes": 70_000, "memory_bytes": 90_000}
    peak = find_swap_peak([domu(1.0, slots_used_pages=100, kept_pages=80, **figures)])
    parts = decompose_swap(peak)
    assert peak.coverage == 0.8
    total = parts.same_filled + parts.compression + parts.sharing_within + parts.sharing_between
    assert total == pytest.approx(parts.reduction)
    assert (parts.store_footprint_bytes, parts.frontend_bytes) == (0, 90_000)


def test_a_plain_disk_keeps_nothing_in_memory():
    peak = find_swap_peak([domu(0.0, slots_used_pages=5), domu(1.0, slots_used_pages=50)])
    assert (peak.seconds, peak.logical_pages, peak.swapped_pages) == (1.0, 0, 50)
    assert peak.coverage == 0.0
    parts = decompose_swap(peak)
    assert parts.reduction is parts.net_reduction is parts.payload_bytes is None


def test_nothing_sampled_is_no_peak():
    assert find_swap_peak([]) is None
