from __future__ import annotations

import struct
from pathlib import Path

import pytest

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.symbols import (
    _debug_package,
    build_id_note,
    check_build_id,
    kernel_symbols,
)
from orchestrator.errors import InfrastructureError, UserError

OTHER_NOTE = struct.pack("<III", 4, 2, 257) + b"Xen\0" + b"ab\0\0"
"""As Linux has them for Xen's domain builder, before its build id."""


def note(build: int) -> bytes:
    return struct.pack("<III", 4, 20, 3) + b"GNU\0" + bytes([build]) * 20


def elf(notes: bytes) -> bytes:
    """An ELF64 file with an empty section and one of notes."""
    header = struct.pack("<6sxxxxxxxxxxHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 2, 183, 1, 0, 0, 64,
                         0, 64, 0, 0, 64, 2, 0)  # fmt: skip
    sections = struct.pack("<IIQQQQIIQQ", *[0] * 10)
    sections += struct.pack("<IIQQQQIIQQ", 0, 7, 0, 0, 64 + 128, len(notes), 0, 0, 4, 0)
    return header + sections + notes


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_build_id_is_found_among_other_notes(tmp_path):
    assert build_id_note(write(tmp_path / "a", elf(OTHER_NOTE + note(7)))) == note(7)
    assert build_id_note(write(tmp_path / "b", elf(OTHER_NOTE))) is None
    assert build_id_note(write(tmp_path / "c", b"not ELF at all")) is None


def test_symbols_of_another_build_are_refused(tmp_path):
    symbols = write(tmp_path / "syms", elf(note(1)))
    check_build_id(symbols, write(tmp_path / "own", b"code" + note(1) + b"data"))
    with pytest.raises(UserError, match=f"another build.*{'01' * 20}"):
        check_build_id(symbols, write(tmp_path / "other", b"code" + note(2) + b"data"))
    with pytest.raises(UserError, match="no build id"):
        check_build_id(write(tmp_path / "bare", elf(b"")), tmp_path / "own")


def kernel(cache: Cache, kind: str, name: str, build: int, data: bytes) -> Path:
    return cache.get(
        kind, {"tree": f"t{build}"}, lambda folder: void(write(folder / name, data)), main=name
    ).path


def void(_: object) -> None:
    """Builders return nothing."""


def test_a_kernel_s_vmlinux_is_among_the_objects_it_was_made_of(tmp_path):
    cache = Cache(tmp_path)
    images = [kernel(cache, "kernel", "Image", build, b"code" + note(build)) for build in (1, 2)]
    objects = [
        kernel(cache, "kernel-objects", "objects/vmlinux", build, elf(note(build)))
        for build in (2, 1)
    ]
    assert [kernel_symbols(cache, image) for image in images] == objects[::-1]


def test_a_patched_kernel_s_is_beside_it(tmp_path):
    cache = Cache(tmp_path)
    image = kernel(cache, "kernel", "Image", 1, b"code" + note(5))
    kernel(cache, "kernel-objects", "objects/vmlinux", 1, elf(note(1)))
    own = write(image.with_name("vmlinux"), elf(note(5)))
    assert kernel_symbols(cache, image) == own


def test_a_vmlinux_that_is_gone_is_one_clear_line(tmp_path):
    cache = Cache(tmp_path)
    image = kernel(cache, "kernel", "Image", 1, b"code" + note(1))
    with pytest.raises(UserError, match=f"remove {image.parent}"):
        kernel_symbols(cache, image)


def test_the_symbols_package_has_the_hypervisor_s_version():
    versions = "xen-hypervisor-4.17-arm64\t4.17.7+13-1\nxen-hypervisor-common\t9\n"
    assert _debug_package(versions) == "xen-hypervisor-4.17-arm64-dbg=4.17.7+13-1"
    with pytest.raises(InfrastructureError, match="no hypervisor"):
        _debug_package("xen-hypervisor-common\t9\n")
