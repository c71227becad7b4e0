"""What this run gives dom0 on the payload disk: kernel, store, configurations.

::

    /kernel               Image that the domUs boot
    /kernel.<variant>     another one, for domUs whose description names it
    /store.toml           the store's configuration
    /domains/<name>.cfg   one xl configuration a domU
    /testbed/store/**     the store's Python code, with its native piece
    /testbed/hostile/**   the store that lies, for tests of the frontend
    /testbed/still/**     holds domUs still while they are looked at
    /testbed/timing/**    measurements
"""

from __future__ import annotations

import py_compile
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.errors import InfrastructureError
from orchestrator.machine.description import (
    DEFAULT_KERNEL,
    DomainDescription,
    MachineDescription,
)

__all__ = ["command_line", "domain_config", "payload_files", "store_config"]

_TESTBED = Path(__file__).resolve().parents[2] / "testbed"
_DOM0_PYTHON = (3, 11)
"""Debian 12's; bytecode for it can be made by the same version only."""


def payload_files(
    description: MachineDescription,
    kernel: Path,
    native: Path | None = None,
    kernels: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, bytes | Path]:
    """Every file of the payload disk, by its path on it.

    Args:
        kernel: Image for the domUs.
        native: ``libpageshare_ring.so`` for arm64, put beside the store's
            code; None leaves it out, for a machine without the store.
        kernels: Images of the other kernel variants that domUs boot.
    """
    files: dict[str, bytes | Path] = {
        "kernel": kernel,
        "store.toml": store_config(description).encode(),
    }
    for domain in description.domains:
        files[f"domains/{domain.name}.cfg"] = domain_config(domain).encode()
        if domain.kernel != DEFAULT_KERNEL:
            files[domain.kernel_file] = kernels[domain.kernel]
    packages = [_TESTBED / name for name in ("store", "hostile", "still", "timing")]
    modules = [module for package in packages for module in sorted(package.rglob("*.py"))]
    for source in [_TESTBED / "__init__.py", *modules]:
        path = source.relative_to(_TESTBED.parent)
        files[str(path)] = source
        if sys.version_info[:2] == _DOM0_PYTHON:
            files |= _bytecode(source, path)
    if native is not None:
        files["testbed/store/native/libpageshare_ring.so"] = native
    return files


def store_config(description: MachineDescription) -> str:
    """The store's configuration (TOML)."""
    return _render(
        "store.toml.j2", {"store": description.store, "domains": description.client_domains}
    )


def domain_config(domain: DomainDescription) -> str:
    """A domU's configuration for ``xl create``."""
    return _render("domain.cfg.j2", {"domain": domain, "command_line": command_line(domain)})


def command_line(domain: DomainDescription) -> str:
    """The domU kernel's command line."""
    words = [
        "console=hvc0", "root=/dev/xvda", "ro", "rootfstype=ext4", "init=/sbin/init",
        # an oops in the code under test ends the domU; its console says why
        "oops=panic", "panic=-1",
        # as is usual for swap in memory: no seek to save, so no read-ahead
        "sysctl.vm.page-cluster=0",
        # each disk would set aside 4 MiB of bounce pages: a third of a small domU
        "xen_blkfront.feature_persistent=0",
        "null_blk.nr_devices=0",
        f"testbed.name={domain.name}",
        f"testbed.address={domain.address}/24",
    ]  # fmt: skip
    if domain.randomize_va_space != 2:
        words.append(f"sysctl.kernel.randomize_va_space={domain.randomize_va_space}")
    return " ".join([*words, *domain.kernel_arguments])


def _bytecode(source: Path, path: Path) -> Mapping[str, bytes]:
    """The cached bytecode of a module: compiling it in dom0 takes 15 times as long."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "module.pyc"
        try:
            # unchecked: the payload is read-only, and timestamps on it mean nothing
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            shown = f"/payload/{path}"
            py_compile.compile(
                str(source), str(compiled), dfile=shown, doraise=True, invalidation_mode=mode
            )
        except py_compile.PyCompileError as error:
            raise InfrastructureError(f"{path} is not valid Python: {error.msg}") from error
        where = path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"
        return {str(where): compiled.read_bytes()}


def _render(template: str, values: Mapping[str, object]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TESTBED / "machine/templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    return environment.get_template(template).render(values)
