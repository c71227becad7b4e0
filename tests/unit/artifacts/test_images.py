from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import preflight
from orchestrator.artifacts.assembly import authorize
from orchestrator.artifacts.cache import Artifact, Cache
from orchestrator.artifacts.context import BuildContext, checkout, read_list
from orchestrator.artifacts.debian import parse_sources
from orchestrator.artifacts.ext4 import make_ext4, set_times
from orchestrator.artifacts.host_tools import elf_machine, foreign_files, recorded_command
from orchestrator.artifacts.keys import client_key
from orchestrator.artifacts.payload import make_payload
from orchestrator.artifacts.toolchain import compiler_version_text
from orchestrator.artifacts.workload import check_objects, make_arguments, object_list
from orchestrator.errors import InfrastructureError, UserError


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return BuildContext(Cache(tmp_path / "cache"), root=tmp_path / "checkout")


def dump(image: Path, path: str) -> str:
    argv = ["debugfs", "-R", f"cat {path}", str(image)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_an_image_holds_its_source_and_has_a_fixed_identity(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "etc").mkdir(parents=True)
    (source / "etc/motd").write_text("hello\n")
    set_times(source, 1_000_000_000)
    images = [tmp_path / "one.ext4", tmp_path / "two.ext4"]
    for image in images:
        make_ext4(image, source, label="test")
        assert dump(image, "/etc/motd") == "hello\n"
    # the superblock's UUID (ext4's layout: 1024 + 104)
    assert len({image.read_bytes()[1128:1144] for image in images}) == 1
    shown = subprocess.run(
        ["debugfs", "-R", "stat /etc/motd", str(images[0])],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    ).stdout
    assert re.search(r"mtime: \S+ -- Sun Sep  9 01:46:40 2001", shown)
    assert re.search(r"User: +0 +Group: +0", shown)


def test_a_payload_disk_holds_kernel_files_and_bytes(tmp_path: Path) -> None:
    kernel = tmp_path / "Image"
    kernel.write_text("kernel")
    files: dict[str, bytes | Path] = {"store.toml": b"[store]\n", "domains/domU1.cfg": kernel}
    image = make_payload(tmp_path / "payload.ext4", kernel, files)
    assert dump(image, "/kernel") == "kernel"
    assert dump(image, "/store.toml") == "[store]\n"
    assert dump(image, "/domains/domU1.cfg") == "kernel"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Image", "payload.ext4"]


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", ""])
def test_a_payload_path_stays_on_the_disk(tmp_path: Path, name: str) -> None:
    kernel = tmp_path / "Image"
    kernel.write_text("kernel")
    with pytest.raises(UserError, match="not a path inside"):
        make_payload(tmp_path / "payload.ext4", kernel, {name: b""})


def test_the_client_key_is_made_once_and_private(context: BuildContext) -> None:
    first = client_key(context)
    assert first == client_key(context)
    assert first.path.stat().st_mode & 0o777 == 0o600
    assert first.path.parent.stat().st_mode & 0o777 == 0o700
    assert first.public.startswith("ssh-ed25519 ")
    assert context.root in first.path.parents


def test_authorized_keys_have_the_modes_that_dropbear_wants(tmp_path: Path) -> None:
    authorize(tmp_path, "ssh-ed25519 AAAA testbed\n")
    keys = tmp_path / "root/.ssh/authorized_keys"
    assert keys.read_text() == "ssh-ed25519 AAAA testbed\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700


LISTING = """\
Packages|http://mirror.example/debian/|bookworm|main|Debian|bookworm
Packages|http://mirror.example/debian/|bookworm|contrib|Debian|bookworm
Packages|http://mirror.example/debian/|bookworm|main|Debian|bookworm
Packages|http://mirror.example/security/|bookworm-security|main|Debian|bookworm-security
Packages|http://mirror.example/debian/|trixie|main|Debian|trixie
Packages|http://other.example/apt/|bookworm|main|Other|bookworm
Translations|http://mirror.example/debian/|bookworm|main|Debian|bookworm
"""


def test_the_hosts_sources_are_debians_of_this_release_with_security() -> None:
    sources = parse_sources(LISTING, "bookworm")
    assert [source.line for source in sources] == [
        "deb http://mirror.example/debian/ bookworm contrib main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]


def test_the_recorded_command_of_a_host_tool(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    tool = tmp_path / "scripts/fixdep"
    shutil.copy(sys.executable, tool)
    (tmp_path / "scripts/.fixdep.cmd").write_text(
        "cmd_scripts/fixdep := gcc -O2 -DX='\"a b\"' -o scripts/fixdep scripts/fixdep.c\n\n"
        "source_scripts/fixdep := scripts/fixdep.c\n"
    )
    assert recorded_command(tmp_path, tool) == [
        *["gcc", "-O2", '-DX="a b"', "-o", "scripts/fixdep", "scripts/fixdep.c"]
    ]
    machine = elf_machine(tool)
    assert machine is not None
    assert list(foreign_files(tmp_path, machine)) == [tool]
    (tmp_path / "scripts/.fixdep.cmd").unlink()
    with pytest.raises(InfrastructureError, match="scripts/fixdep: Kbuild left no record"):
        recorded_command(tmp_path, tool)


def test_the_guest_compilers_version_is_read_from_its_strings(tmp_path: Path) -> None:
    driver = tmp_path / "gcc"
    driver.write_bytes(b"\x7fELF\x00(Debian 12.2.0-14+deb12u1) \x00junk\x0012.2.0\x00")
    assert (
        compiler_version_text(driver) == "aarch64-linux-gnu-gcc (Debian 12.2.0-14+deb12u1) 12.2.0"
    )
    driver.write_bytes(b"\x7fELF")
    with pytest.raises(InfrastructureError, match="no version text"):
        compiler_version_text(driver)


def test_the_workloads_lists() -> None:
    context = BuildContext(Cache(Path("unused")), root=checkout())
    objects = object_list(context)
    assert len(objects) == len(set(objects)) >= 12
    assert {"kernel/sched/core.o", "lib/vsprintf.o"} <= set(objects)
    assert "CC=aarch64-linux-gnu-gcc" in make_arguments(context)


def test_an_object_without_a_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "objects.txt").write_text("lib/string.o\n")
    disk = Artifact("workload", "0" * 64, tmp_path, "0" * 64, {}, tmp_path, 0.0)
    check_objects(disk, ["lib/string.o"], "mine.txt")
    with pytest.raises(UserError, match=r"mine\.txt: lib/strong\.o: .* no such object"):
        check_objects(disk, ["lib/strong.o"], "mine.txt")


def test_package_lists_name_no_package_twice() -> None:
    for path in (checkout() / "testbed/images").glob("*/packages.txt"):
        packages = read_list(path)
        assert len(packages) == len(set(packages)), path


class TestPreflight:
    def test_a_host_that_has_everything(self, tmp_path: Path) -> None:
        preflight.check(machine_memory=0, folders=[(tmp_path / "new/cache", 1)], programs=["sh"])

    def test_a_missing_program_is_named_with_its_package(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"missing program nothing-such: .*make setup"):
            preflight.check(machine_memory=0, folders=[], programs=["sh", "nothing-such"])

    def test_everything_that_is_missing_is_in_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as caught:
            preflight.check(
                machine_memory=1 << 60, folders=[(tmp_path, 1 << 62)], programs=["nothing-such"]
            )
        message = str(caught.value)
        assert "\n" not in message
        for part in ("nothing-such", "too little memory", "too little disk space"):
            assert part in message
