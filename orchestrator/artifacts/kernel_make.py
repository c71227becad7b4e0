"""Configure and make a kernel in a source tree, always with the same words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.context import BuildContext
from orchestrator.artifacts.kernel_variant import Variant, dropped_symbols, parse_config
from orchestrator.commands import Log, run
from orchestrator.errors import UserError

__all__ = ["FIXED", "configure", "make"]

FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "testbed",
    "KBUILD_BUILD_HOST": "testbed",
    "KBUILD_BUILD_VERSION": "1",
}
"""Else every build differs, and ccache misses what contains them."""
_NO_MAKE_ABOVE = {"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "0"}
"""This make is not part of one that happens to run us (``make test``): it has its own -j."""


def make(
    context: BuildContext, tree: Path, targets: Sequence[str], *, on_line: Log | None = None
) -> None:
    """``make`` for arm64 in ``tree``, through ccache where there is one.

    ``on_line`` sees its progress, a line an object. Raises ``CommandFailed``.
    """
    compiler = "aarch64-linux-gnu-gcc"
    environment = FIXED | _NO_MAKE_ABOVE
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


def configure(context: BuildContext, tree: Path, variant: Variant) -> None:
    """Write ``.config``: the variant's fragments over ``allnoconfig``.

    Raises ``UserError`` for symbols that Kconfig dropped.
    """
    make(context, tree, ["allnoconfig"])
    merge: list[str | Path] = ["scripts/kconfig/merge_config.sh", "-m", ".config"]
    run([*merge, *variant.fragments], cwd=tree, log=context.log)
    make(context, tree, ["olddefconfig"])
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
