"""Debian's cross compiler as Buildroot takes it: a copy that can lie in any folder.

Buildroot refuses compilers of distributions, because they are not relocatable: they
look for headers and libraries below ``/`` (it reads ``--with-sysroot=/`` from
``gcc -v``). gcc itself does relocate: it finds its programs relative to its driver.
So the copy is::

    bin/aarch64-linux-gnu-{gcc,cpp}     wrappers: say --sysroot, and so in their answer to -v
    bin/aarch64-linux-gnu-{ar,ld,...}   links to Debian's binutils, which take any sysroot
    libexec/bin/                        the drivers
    libexec/lib/gcc-cross/...           links to Debian's cc1, collect2, libgcc
    libexec/aarch64-linux-gnu/bin       links to as and ld, where the driver looks for them
    sysroot/{lib,usr/lib,usr/include}   the cross libc, flat; its linker scripts
                                        without absolute paths

C only: no C++, and none of the sanitizers' or OpenMP's libraries.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import installed_version
from orchestrator.errors import InfrastructureError

__all__ = ["LIBC", "PREFIX", "debian_toolchain", "relocate"]

PREFIX = "aarch64-linux-gnu"
LIBC = "libc6-dev-arm64-cross"
"""The package whose version is that of the C library."""

_GCC_MAJOR = "12"
_PACKAGES = (
    "binutils-aarch64-linux-gnu",
    "gcc-12-aarch64-linux-gnu",
    LIBC,
    "linux-libc-dev-arm64-cross",
)
_BINUTILS = (
    "addr2line",
    "ar",
    "as",
    "elfedit",
    "gcc-ar",
    "gcc-nm",
    "gcc-ranlib",
    "gprof",
    "ld",
    "ld.bfd",
    "nm",
    "objcopy",
    "objdump",
    "ranlib",
    "readelf",
    "size",
    "strings",
    "strip",
)
_DRIVERS = ("gcc", "cpp")
_LEFT_OUT = ("*asan*", "*hwasan*", "*lsan*", "*tsan*", "*ubsan*", "*gomp*", "*itm*", "*stdc++*")
_SCRIPT = re.compile(r"/usr/aarch64-linux-gnu/lib/")

_WRAPPER = """\
#!/bin/sh
# Debian's cross compiler, which looks for headers and libraries in the sysroot beside it.
here=${0%/*}/..
driver=$here/libexec/bin/${0##*/}
if [ "$*" = -v ]; then # it was configured for /, and says where it looks in truth
	"$driver" -v 2>&1 | sed "s,--with-sysroot=/ ,--with-sysroot=$here/sysroot ," >&2
	exit
fi
exec "$driver" --sysroot="$here/sysroot" "$@"
"""


def debian_toolchain(context: BuildContext) -> Artifact:
    """The relocated copy: ``Artifact.folder / "toolchain"``.

    Raises ``UserError`` where Debian's cross compiler is not installed.
    """
    inputs: dict[str, str | Path] = {name: installed_version(name) for name in _PACKAGES}
    inputs["code"] = Path(__file__)

    def build(folder: Path) -> None:
        relocate(Path("/usr"), folder / "toolchain")
        versions = "".join(f"{name}\t{inputs[name]}\n" for name in _PACKAGES)
        (folder / "packages.tsv").write_text(versions)

    return context.cache.get(
        "buildroot-toolchain", inputs, build, main="packages.tsv", deadline=context.deadline
    )


def relocate(usr: Path, folder: Path) -> None:
    """Make ``folder`` the copy of the cross compiler below ``usr``.

    Raises ``InfrastructureError`` where a part of it is not where Debian has it.
    """
    if not (usr / "bin" / f"{PREFIX}-gcc-{_GCC_MAJOR}").exists():
        raise InfrastructureError(f"{usr / 'bin'}: no {PREFIX}-gcc-{_GCC_MAJOR}")
    drivers = folder / "libexec" / "bin"
    drivers.mkdir(parents=True)
    _link_gcc(usr, folder)
    _copy_sysroot(usr / PREFIX, folder / "sysroot")
    for name in _DRIVERS:
        # copied, not linked: a driver finds all else relative to what it really is
        shutil.copy(usr / "bin" / f"{PREFIX}-{name}-{_GCC_MAJOR}", drivers / f"{PREFIX}-{name}")
        wrapper = folder / "bin" / f"{PREFIX}-{name}"
        wrapper.write_text(_WRAPPER)
        wrapper.chmod(0o755)
    (folder / "bin" / f"{PREFIX}-cc").symlink_to(f"{PREFIX}-gcc")


def _link_gcc(usr: Path, folder: Path) -> None:
    """Links to what stays where it is: binutils, and the driver's own programs."""
    programs = folder / "bin"
    beside = folder / "libexec" / PREFIX / "bin"
    programs.mkdir()
    beside.mkdir(parents=True)
    for name in _BINUTILS:
        original = usr / "bin" / f"{PREFIX}-{name}"
        if original.exists():
            (programs / original.name).symlink_to(original)
    for name in ("as", "ld", "ld.bfd"):
        (beside / name).symlink_to(usr / "bin" / f"{PREFIX}-{name}")
    gcc = Path("lib", "gcc-cross", PREFIX, _GCC_MAJOR)
    (folder / "libexec" / gcc).mkdir(parents=True)
    for original in sorted((usr / gcc).iterdir()):
        if not _left_out(original):
            (folder / "libexec" / gcc / original.name).symlink_to(original)


def _copy_sysroot(libc: Path, sysroot: Path) -> None:
    libraries = sysroot / "lib"
    development = sysroot / "usr" / "lib"
    libraries.mkdir(parents=True)
    development.mkdir(parents=True)
    shutil.copytree(libc / "include", sysroot / "usr" / "include", symlinks=True)
    for original in sorted((libc / "lib").iterdir()):
        if _left_out(original) or original.is_dir():
            continue
        shared = ".so." in original.name
        target = (libraries if shared else development) / original.name
        if original.is_symlink() and not shared:
            # what one links with lies in usr/lib, what it leads to in lib
            target.symlink_to(f"../../lib/{original.readlink().name}")
        else:
            shutil.copy(original, target, follow_symlinks=False)
        if original.suffix == ".so" and _is_script(original):
            target.write_text(_SCRIPT.sub("", target.read_text()))


def _left_out(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _LEFT_OUT)


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"/*"
