from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    StoreDescription,
    address_of,
)


def domain(index: int, **values: object) -> DomainDescription:
    return DomainDescription(name=f"domU{index + 1}", address=address_of(index), **values)


def test_the_machine_in_the_tree_is_valid():
    machine = MachineDescription.load()
    assert [one.name for one in machine.domains] == ["domU1", "domU2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[qemu]\ncpuz = 2\n", "qemu.cpuz: unknown key"),
        ("[qemu]\ncpus = 0\n", "qemu.cpus = 0: .*greater than or equal to 1"),
        ("[dom0]\nmemory_mib = 4096\n", "qemu.memory_mib: 2048 is too little"),
        ("[store\n", "not valid TOML"),
        ('[[domain]]\nname = "store"\naddress = "10.0.2.101"\n', "store is taken"),
        ('[[domain]]\nname = "a"\naddress = "10.0.2.15"\n', "domain.0.address"),
    ],
)
def test_a_bad_machine_file_is_one_clear_line(tmp_path, text, message):
    file = tmp_path / "machine.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        MachineDescription.load(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_missing_machine_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.toml"):
        MachineDescription.load(tmp_path / "nowhere.toml")


def test_two_domains_cannot_share_an_address():
    with pytest.raises(UserError, match=r"domain\.name: domU1 is used twice"):
        MachineDescription().with_domains([domain(0), domain(0)])


def test_the_arena_holds_the_sum_of_the_quotas():
    machine = MachineDescription().with_store(StoreDescription(arena_bytes=10 << 20))
    with pytest.raises(UserError, match=r"store\.arena_bytes: 10485760 is less than the sum"):
        machine.with_domains([domain(0, quota_bytes=6 << 20), domain(1, quota_bytes=6 << 20)])


def test_a_domain_without_a_quota_is_no_client_of_the_store():
    machine = MachineDescription().with_domains([domain(0), domain(1, quota_bytes=0)])
    assert [one.name for one in machine.client_domains] == ["domU1"]


def test_ethernet_addresses_differ():
    assert len({domain(index).mac for index in range(8)}) == 8
