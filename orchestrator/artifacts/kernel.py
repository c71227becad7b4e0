"""The guest kernel: Debian's 6.1 source, our series, and a variant's config fragments."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.cache import Artifact
from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.debian import installed_version
from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.commands import Log, run
from orchestrator.errors import UserError

__all__ = ["Variant", "build_kernel", "dropped_symbols", "load_variant", "parse_config"]

_SET = re.compile(r"^(CONFIG_\w+)=(.*)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")

_FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "testbed",
    "KBUILD_BUILD_HOST": "testbed",
    "KBUILD_BUILD_VERSION": "1",
}
"""Else every build differs, and ccache misses what contains them."""


@dataclass(frozen=True)
class Variant:
    """A named list of config fragments."""

    name: str
    fragments: tuple[Path, ...]


def load_variant(patches: Path, name: str) -> Variant:
    """The variant ``name`` of ``variants.toml`` in the folder of a kernel line.

    Raises ``UserError`` for a broken file, an unknown variant, a missing fragment.
    """
    path = patches / "variants.toml"
    try:
        variants = tomllib.loads(path.read_text()).get("variant", {})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; the checkout is not complete") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from error
    if name not in variants:
        known = ", ".join(sorted(variants)) or "none"
        raise UserError(f"{path}: no kernel variant {name!r}; there are: {known}")
    fragments = tuple(
        patches / "config" / f"{fragment}.config" for fragment in variants[name]["fragments"]
    )
    for fragment in fragments:
        if not fragment.is_file():
            raise UserError(f"{path}: variant {name}: no such fragment: {fragment}")
    return Variant(name, fragments)


def parse_config(lines: Iterable[str]) -> dict[str, str]:
    """The symbols that a Kconfig file names, ``n`` for those that it says are not set."""
    symbols: dict[str, str] = {}
    for raw in lines:
        line = raw.strip()
        if found := _SET.match(line):
            symbols[found[1]] = found[2]
        elif found := _UNSET.match(line):
            symbols[found[1]] = "n"
    return symbols


def dropped_symbols(wanted: Mapping[str, str], final: Mapping[str, str]) -> list[str]:
    """The wanted symbols that Kconfig did not keep, as ``NAME=wanted (got)``."""
    return [
        f"{name}={value} (got {final.get(name, 'n')})"
        for name, value in wanted.items()
        if final.get(name, "n") != value
    ]


def build_kernel(
    context: BuildContext, variant: str = "pageshare", *, on_line: Log | None = None
) -> Artifact:
    """The arm64 ``Image`` (``Artifact.path``), with ``config`` and ``System.map`` beside it.

    ``on_line`` sees make's progress, a line an object. Raises ``UserError`` for a
    series that does not apply and for symbols that Kconfig dropped.
    """
    chosen = load_variant(context.patches, variant)
    tree = patched_tree(context)
    inputs: dict[str, str | Path] = {
        "tree": tree.key,
        "compiler": installed_version("gcc-12-aarch64-linux-gnu"),
        "binutils": installed_version("binutils-aarch64-linux-gnu"),
        "variables": " ".join(f"{name}={value}" for name, value in sorted(_FIXED.items())),
        "variant": variant,
        "recipe": "1",
    }
    for number, fragment in enumerate(chosen.fragments):
        inputs[f"fragment {number} {fragment.name}"] = fragment

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            copy = Path(scratch, "linux")
            # hard links: Kbuild only ever adds files to a source tree
            run(["cp", "-al", tree.folder / "linux", copy], log=context.log)
            _configure(context, copy, chosen)
            _make(context, copy, ["Image"], on_line=on_line)
            shutil.copyfile(copy / "arch/arm64/boot/Image", folder / "Image")
            shutil.copyfile(copy / ".config", folder / "config")
            shutil.copyfile(copy / "System.map", folder / "System.map")

    return context.cache.get("kernel", inputs, build, main="Image", deadline=context.deadline)


def _make(
    context: BuildContext, tree: Path, targets: Sequence[str], *, on_line: Log | None = None
) -> None:
    compiler = "aarch64-linux-gnu-gcc"
    environment = dict(_FIXED)
    if shutil.which("ccache"):
        compiler = f"ccache {compiler}"
        # the tree's folder is another one at each build; the objects do not depend on it
        environment |= {"CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "1"}
    argv = ["make", f"-j{os.cpu_count() or 1}", "ARCH=arm64"]
    argv += ["CROSS_COMPILE=aarch64-linux-gnu-", f"CC={compiler}", *targets]
    run(
        argv,
        cwd=tree,
        env=environment,
        log=context.log,
        deadline=context.deadline.within(2400),
        on_line=on_line,
    )


def _configure(context: BuildContext, tree: Path, variant: Variant) -> None:
    _make(context, tree, ["allnoconfig"])
    merge: list[str | Path] = ["scripts/kconfig/merge_config.sh", "-m", ".config"]
    run([*merge, *variant.fragments], cwd=tree, log=context.log)
    _make(context, tree, ["olddefconfig"])
    wanted: dict[str, str] = {}
    for fragment in variant.fragments:
        wanted |= parse_config(fragment.read_text().splitlines())
    final = parse_config((tree / ".config").read_text().splitlines())
    dropped = dropped_symbols(wanted, final)
    if dropped:
        names = ", ".join(fragment.name for fragment in variant.fragments)
        raise UserError(
            f"kernel variant {variant.name} ({names}): Kconfig dropped {'; '.join(dropped)}: "
            "add the symbols they depend on to a fragment"
        )
