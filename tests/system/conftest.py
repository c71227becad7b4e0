"""One real machine for the whole session: Xen, dom0 with the store, four domUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.build import build_parts
from orchestrator.deadline import Deadline
from orchestrator.experiment import DomuImage
from orchestrator.machine import (
    DomainDescription,
    Machine,
    MachineDescription,
    address_of,
)
from orchestrator.parts import Parts
from orchestrator.progress import Progress
from orchestrator.workloads import build_pagegen
from tests.system.pages import Pages

MIB = 1 << 20
DOMAINS = [
    # two that share, and one whose place in the store is soon full and that compresses otherwise
    DomainDescription(name="domU1", address=address_of(0), memory_mib=64, quota_bytes=48 * MIB),
    DomainDescription(name="domU2", address=address_of(1), memory_mib=64, quota_bytes=48 * MIB),
    DomainDescription(
        name="small",
        address=address_of(2),
        memory_mib=64,
        quota_bytes=2 * MIB,
        kernel_arguments=("xen-pageshare.compressor=zstd",),
    ),
    # one that is lied to; with room enough that only what it is told to swap goes out
    DomainDescription(
        name="victim",
        address=address_of(3),
        memory_mib=128,
        vcpus=2,
        quota_bytes=24 * MIB,
        kernel_arguments=("xen-pageshare.load_timeout_ms=1000",),
    ),
]


# with a Buildroot tree at hand, experiments take it; whoever runs this has Debian's mirrors
os.environ.setdefault("BUILDROOT_TOOLCHAIN", "debian")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)
            # the first one builds the artifacts, if the cache is empty
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def progress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Progress]:
    with Progress(Console(), tmp_path_factory.mktemp("log") / "testbed.log") as progress:
        yield progress


@pytest.fixture(scope="session")
def parts(progress: Progress) -> Parts:
    # the builder that every machine can have; test_domu_image tries all of them
    return build_parts(progress, image=DomuImage(builder="debian"))


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the session's machine, alone in a folder of results."""
    run_dir = tmp_path_factory.mktemp("results") / "machine"
    run_dir.mkdir()
    return run_dir


@pytest.fixture(scope="session")
def machine(parts: Parts, run_dir: Path) -> Iterator[Machine]:
    description = MachineDescription.load().with_domains(DOMAINS)
    files = parts.files(description, run_dir)
    with Machine.boot(description, files, run_dir, Deadline.after(180), log=print) as machine:
        yield machine


@pytest.fixture
def pages(machine: Machine, parts: Parts) -> Pages:
    """Pages of known contents in any domU."""
    return Pages(machine, build_pagegen(parts.context.cache))
