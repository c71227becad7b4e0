from __future__ import annotations

import marshal
import tomllib
from pathlib import Path

import pytest

from orchestrator.machine import (
    DomainDescription,
    MachineDescription,
    SecondLookDescription,
    address_of,
    payload_files,
)
from orchestrator.machine.payload import command_line, domain_config, store_config
from testbed.store.config import load
from testbed.store.secondlook.settings import Settings

MACHINE = MachineDescription.load()


def test_the_store_configuration_says_what_the_description_says():
    config = tomllib.loads(store_config(MACHINE))
    assert config["store"]["arena_bytes"] == MACHINE.store.arena_bytes
    assert config["store"]["records"] == "/dev/virtio-ports/pageshare.stats"
    assert [(one["name"], one["quota_bytes"], one["group"]) for one in config["domain"]] == [
        (one.name, one.quota_bytes, one.group) for one in MACHINE.domains
    ]


def test_the_store_reads_what_a_variant_wants_of_its_second_look(tmp_path):
    wanted = SecondLookDescription(cold_seconds=2, cpu_share=0.25, pointers=False)
    store = MACHINE.store.model_copy(update={"second_look": wanted})
    path = tmp_path / "store.toml"
    path.write_text(store_config(MACHINE.with_store(store)))
    assert load(path).second_look == Settings(pointers=False, cold_seconds=2, cpu_share=0.25)
    path.write_text(store_config(MACHINE))
    assert load(path).second_look is None


def test_a_domain_configuration_names_its_own_disks():
    text = domain_config(MACHINE.domains[1])
    # xl's syntax for these values is Python's
    config: dict[str, object] = {}
    exec(compile(text, "domU2.cfg", "exec"), {}, config)
    assert config["name"] == "domU2"
    assert config["disk"] == [
        "phy:/dev/disk/testbed/domu-root,xvda,r",
        "phy:/dev/disk/testbed/toolchain,xvdb,r",
        "phy:/dev/disk/testbed/workload,xvdc,r",
        "phy:/dev/disk/testbed/scratch.domU2,xvdd,w",
        "phy:/dev/disk/testbed/swap.domU2,xvde,w",
    ]
    assert "testbed.address=10.0.2.102/24" in str(config["extra"])


def test_randomisation_is_named_only_when_it_is_not_the_default():
    domain = DomainDescription(name="domU1", address=address_of(0))
    assert "randomize" not in command_line(domain)
    off = domain.model_copy(update={"randomize_va_space": 0})
    assert "sysctl.kernel.randomize_va_space=0" in command_line(off)


def test_a_domain_boots_the_kernel_that_it_names(tmp_path):
    domain = DomainDescription(name="domU1", address=address_of(0), kernel="debug")
    assert 'kernel = "/payload/kernel.debug"' in domain_config(domain)
    assert 'kernel = "/payload/kernel"' in domain_config(MACHINE.domains[0])
    image, debug = tmp_path / "Image", tmp_path / "debug"
    files = payload_files(MACHINE.with_domains([domain]), image, kernels={"debug": debug})
    assert (files["kernel"], files["kernel.debug"]) == (image, debug)
    assert "kernel.debug" not in payload_files(MACHINE, image, kernels={"debug": debug})


def test_the_payload_carries_the_store_that_lies(tmp_path):
    assert "testbed/hostile/__main__.py" in payload_files(MACHINE, tmp_path / "Image")


def test_kernel_arguments_end_the_command_line():
    domain = DomainDescription(
        name="domU1", address=address_of(0), kernel_arguments=("a.b=0", "loglevel=4")
    )
    assert command_line(domain).endswith(" a.b=0 loglevel=4")
    with pytest.raises(ValueError, match="kernel_arguments"):
        DomainDescription(name="domU1", address=address_of(0), kernel_arguments=('x="y"',))


def test_the_payload_has_the_store_with_bytecode_that_python_takes(tmp_path):
    native = tmp_path / "ring.so"
    files = payload_files(MACHINE, Path("/a/Image"), native)
    assert files["kernel"] == Path("/a/Image")
    assert files["testbed/store/native/libpageshare_ring.so"] == native
    assert isinstance(files["testbed/store/protocol.py"], Path)
    compiled = files["testbed/store/__pycache__/protocol.cpython-311.pyc"]
    assert isinstance(compiled, bytes)
    assert marshal.loads(compiled[16:]).co_filename == "/payload/testbed/store/protocol.py"
