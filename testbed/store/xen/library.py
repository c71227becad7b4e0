"""Loading Xen's own libraries: the stable C ones, and the Python bindings."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from testbed.store.errors import TransportError

__all__ = ["failure", "load_c", "load_python"]

_PYTHON_FOLDERS = "usr/lib/xen-*/lib/python"
"""Where Debian's xen-utils keeps the bindings of each Xen version."""


def load_c(name: str) -> ctypes.CDLL:
    """Opens a shared library that sets ``errno``; ``TransportError`` if it is missing."""
    try:
        return ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise TransportError(f"{name}: {error}; it belongs to Debian's {name[:-5]}") from error


def load_python(name: str) -> Any:
    """Imports ``xen.lowlevel.<name>``; ``TransportError`` if it is missing."""
    for folder in sorted(map(str, Path("/").glob(_PYTHON_FOLDERS))):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        return importlib.import_module(f"xen.lowlevel.{name}")
    except ImportError as error:
        raise TransportError(f"xen.lowlevel.{name}: {error}; Debian's xen-utils has it") from error


def failure(what: str) -> TransportError:
    """The error for a C call that has just failed with ``errno``."""
    number = ctypes.get_errno()
    return TransportError(f"{what}: {os.strerror(number)} (errno {number})")
