"""Symbols for a debugger: those of exactly the hypervisor and the kernel that were booted.

Xen's are in a Debian package of their own, fetched when they are first wanted, in
the hypervisor's version. A kernel's are in the ``vmlinux`` that its ``Image`` was
made of. Both files have a build id, a note that the linker writes and that is in
the binary, too: a file that belongs to another build is refused.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import debian_tree, unpack
from orchestrator.commands import CommandFailed
from orchestrator.errors import InfrastructureError, UserError

__all__ = ["build_id_note", "check_build_id", "kernel_symbols", "xen_symbols"]

_HYPERVISOR = re.compile(r"xen-hypervisor-[0-9.]+-arm64")
_SHT_NOTE = 7
_NT_GNU_BUILD_ID = 3


def xen_symbols(context: BuildContext, xen: Path) -> Path:
    """The ELF file with the symbols of the hypervisor ``xen``.

    Raises:
        InfrastructureError: the package cannot be had in that version.
        UserError: it belongs to another hypervisor.
    """
    package = _debug_package(debian_tree(context, "xen").path.read_text())
    try:
        tree = debian_tree(context, "xen-symbols", [package])
    except CommandFailed as error:
        raise InfrastructureError(
            f"Xen's symbols ({package}) cannot be fetched: {error.tail.splitlines()[-1:]}; where "
            "the archive has a newer version only, testbed clean --cache makes room for that one"
        ) from error

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            unpack(context, tree, Path(scratch))
            found = sorted(Path(scratch, "usr/lib/debug/boot").glob("xen-syms-*-arm64"))
            if len(found) != 1:
                raise InfrastructureError(f"{package} holds {len(found)} files of symbols, not 1")
            found[0].rename(folder / "xen-syms")

    symbols = context.cache.get(
        "xen-symbols", {"packages": tree.digest}, build, main="xen-syms", deadline=context.deadline
    ).path
    check_build_id(symbols, xen)
    return symbols


def kernel_symbols(cache: Cache, image: Path) -> Path:
    """The ``vmlinux`` of a kernel's ``Image`` in the cache.

    Raises:
        UserError: there is none any more, or it is that of another kernel.
    """
    symbols = image.with_name("vmlinux")
    if not symbols.exists():
        # not a patched kernel: all of its objects are kept, under the same inputs
        inputs = json.loads(image.with_name("artifact.json").read_text())["inputs"]
        key, _ = cache.key("kernel-objects", inputs)
        symbols = cache.root / "kernel-objects" / key / "objects/vmlinux"
    if not symbols.exists():
        raise UserError(
            f"{image}: its vmlinux was not kept; remove {image.parent}, and both are built again"
        )
    check_build_id(symbols, image)
    return symbols


def check_build_id(symbols: Path, binary: Path) -> None:
    """``UserError`` unless ``binary`` was made of the ELF file ``symbols``."""
    note = build_id_note(symbols)
    if note is None:
        raise UserError(f"{symbols}: no build id, so nobody can tell what it belongs to")
    if note not in binary.read_bytes():
        raise UserError(
            f"{symbols} has the symbols of another build than {binary}: "
            f"build id {note[-20:].hex()} is not in there"
        )


def build_id_note(path: Path) -> bytes | None:
    """The whole note of a little-endian ELF64 file, as it lies in memory; its id comes last.

    Layout: elf(5); a note is three words (lengths of name and id, type), name, id.
    """
    data = path.read_bytes()
    for kind, offset, size in _sections(data):
        if kind == _SHT_NOTE:
            for note in _notes(data[offset : offset + size]):
                words, name = note[:12], note[12:16]
                if struct.unpack("<III", words)[2] == _NT_GNU_BUILD_ID and name == b"GNU\0":
                    return note
    return None


def _sections(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, offset and size of each section."""
    if data[:6] != b"\x7fELF\x02\x01":
        return
    (table,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count = struct.unpack_from("<HH", data, 0x3A)
    for number in range(count):
        header = struct.unpack_from("<IIQQQQ", data, table + number * entry_size)
        yield header[1], header[4], header[5]


def _notes(section: bytes) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(section):
        name_size, size, _ = struct.unpack_from("<III", section, at)
        end = at + 12 + (name_size + 3) // 4 * 4 + size
        yield section[at:end]
        at = (end + 3) // 4 * 4


def _debug_package(versions: str) -> str:
    """``package=version`` of the symbols, by the hypervisor's line in ``packages.tsv``."""
    for line in versions.splitlines():
        package, _, version = line.partition("\t")
        if _HYPERVISOR.fullmatch(package):
            return f"{package}-dbg={version}"
    raise InfrastructureError(f"no hypervisor among the packages: {versions.split()}")
