from __future__ import annotations

import pytest

from orchestrator.errors import UserError
from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    StoreDescription,
    SwapDevice,
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
        ("[qemu]\nmemory_mib = 2048\n[dom0]\nmemory_mib = 4096\n", "2048 is too little for Xen"),
        ("[dom0]\nmemory_mib = 65536\n", "qemu.memory_mib: .* are more than 65536"),
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


def machine_of(number: int, **values: object) -> MachineDescription:
    store = StoreDescription(arena_bytes=number * (16 << 20))
    machine = MachineDescription.load().with_domains([]).with_store(store)
    domains = [domain(n, quota_bytes=16 << 20, **values) for n in range(number)]
    return machine.with_domains(domains)


@pytest.mark.parametrize(
    ("number", "memory_mib", "machine_mib"),
    [
        (2, 64, 2048),  # no less than that: what was measured before stays comparable
        (2, 512, 2048),
        (8, 64, 2048),
        (8, 136, 2048),
        (8, 256, 2816),
        (8, 512, 4864),
    ],
)
def test_the_machines_memory_follows_from_its_guests(number, memory_mib, machine_mib):
    machine = machine_of(number, memory_mib=memory_mib)
    assert machine.qemu.memory_mib is None
    assert machine.memory_mib == machine_mib
    guests = machine.dom0.memory_mib + number * memory_mib
    assert machine.memory_mib - guests > 96 + (machine.memory_mib - 2048) // 64


def test_memory_that_is_given_stays_and_must_be_enough():
    given = MachineDescription.load().qemu.model_copy(update={"memory_mib": 3000})
    machine = MachineDescription.load().model_copy(update={"qemu": given})
    assert machine.memory_mib == 3000
    with pytest.raises(UserError, match=r"3000 is too little for Xen, dom0 and 8 domUs") as caught:
        machine.with_domains([domain(n, memory_mib=512, quota_bytes=0) for n in range(8)])
    assert "\n" not in str(caught.value)


def test_more_disks_than_the_board_has_places_are_refused():
    assert machine_of(11).virtio_devices == 31
    with pytest.raises(UserError, match=r"12 domUs .* need 33 virtio devices") as caught:
        machine_of(12)
    assert "\n" not in str(caught.value)
    # a disk that dom0 makes is none of QEMU's
    assert machine_of(12, swap_device=SwapDevice(kind="zram")).virtio_devices == 21


def test_an_arena_that_dom0_cannot_hold_is_refused():
    store = StoreDescription(arena_bytes=8 * (64 << 20))
    machine = MachineDescription.load().with_domains([]).with_store(store)
    with pytest.raises(UserError, match=r"512 MiB are more than half of dom0's 512 MiB") as caught:
        machine.with_domains([domain(n) for n in range(8)])
    assert "\n" not in str(caught.value)


def test_ethernet_addresses_differ():
    assert len({domain(index).mac for index in range(8)}) == 8
