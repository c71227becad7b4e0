"""Variants that swap elsewhere than to the store, and the machines that follow from them."""

from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.machine.payload import domain_config, store_config
from orchestrator.runner import describe_machine

MIB = 1 << 20
FILE = """
name = "some"
title = "some baselines"

[workload]
kind = "kernel-compile"
objects_file = "objects.txt"

[[variant]]
name = "only"
randomize_va_space = 2
{keys}

[[domain]]
name = "domU1"
memory_mib = 64
quota_mib = 16
swap_mib = 64

[[domain]]
name = "domU2"
memory_mib = 96
quota_mib = 32
swap_mib = 64
"""


@pytest.fixture
def read(load):
    """Reads the file with these keys in its one variant."""
    return lambda keys: load(FILE.format(keys=keys))


@pytest.fixture
def machine(read):
    def machine(keys):
        experiment = read(keys)
        return describe_machine(experiment, experiment.variants[0])

    return machine


def test_without_a_store_no_domain_is_its_client(machine):
    description = machine('swap = "disk"')
    assert [one.quota_bytes for one in description.domains] == [0, 0]
    assert "[[domain]]" not in store_config(description)
    for domain in description.domains:
        assert domain.kernel_arguments == ("xen-pageshare.enabled=0",)
        assert domain.swap_device.kind == "disk"


def test_zswap_boots_its_own_kernel(machine):
    description = machine('swap = "zswap"\ncompressor = "zstd"')
    for domain in description.domains:
        assert domain.kernel_file == "kernel.zswap"
        assert "zswap.enabled=1" in domain.kernel_arguments
        assert "zswap.compressor=zstd" in domain.kernel_arguments


def test_zram_in_dom0_has_its_limit_for_each_domain(machine):
    for domain in machine('swap = "dom0-zram"\nlimit_mib = 20').domains:
        device = domain.swap_device
        assert (device.kind, device.compressor, device.limit_mib) == ("zram", "lz4", 20)


def test_a_slow_disk_has_its_figures(machine):
    keys = 'swap = "disk"\nslow_disk = { latency_us = 250, mebibytes_per_second = 40 }'
    device = machine(keys).domains[0].swap_device
    assert (device.kind, device.latency_us, device.mebibytes_per_second) == ("slow-disk", 250, 40)


def test_no_swap_is_no_disk(machine):
    domain = machine('swap = "none"\nmemory_mib = 512').domains[0]
    assert domain.memory_mib == 512
    assert "xvde" not in domain_config(domain)
    assert "xvdd" in domain_config(domain)


def test_a_budget_is_divided_anew_by_a_variant(read):
    experiment = read("memory_mib = 80\nquota_mib = 8\ndomains = 1")
    (variant,) = experiment.variants
    (domain,) = describe_machine(experiment, variant).domains
    assert (domain.memory_mib, domain.quota_bytes) == (80, 8 * MIB)
    assert experiment.arena_bytes(variant) == 8 * MIB


def test_sharing_switched_off_is_a_group_each(machine):
    groups = [domain.group for domain in machine("sharing = false").domains]
    assert groups == ["only-domU1", "only-domU2"]


@pytest.mark.parametrize("name", ["lz4", "lzo", "zstd"])
def test_the_frontend_is_told_its_compressor(machine, name):
    arguments = machine(f'compressor = "{name}"').domains[0].kernel_arguments
    assert arguments == (() if name == "lz4" else (f"xen-pageshare.compressor={name}",))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('swap = "floppy"', ["swap = 'floppy'", "'dom0-zram'", "'zswap'"]),
        ('swap = "zram"\nlimit_mib = 4', ["limit_mib: only with swap = 'dom0-zram'", "'zram'"]),
        ('swap = "zram"\nsharing = false', ["sharing: only with swap = 'pageshare'"]),
        ('swap = "none"\ncompressor = "lz4"', ["compressor: only with", "'zswap'"]),
        ('compressor = "lzo-rle"', ["the store knows"]),
        ('swap = "zswap"\nkernel = "debug"', ["'zswap' needs its own"]),
        ("domains = 3", ["variant only: domains = 3", "only 2"]),
        ('swap = "disk"\nslow_disk = { latency_us = 0, mebibytes_per_second = 1 }', ["1 to"]),
        (
            'swap = "disk"\nslow_disk = { latency_us = 9 }',
            ["mebibytes", "must be given"],
        ),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(read, keys, said):
    with pytest.raises(UserError) as caught:
        read(keys)
    message = str(caught.value)
    assert "\n" not in message
    for part in ["some.toml", *said]:
        assert part in message
