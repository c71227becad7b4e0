"""The workload's C parts, built for this machine."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "testbed/workload"
STRICT = ["-O1", "-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Builds a program, or a library, of these files."""

    def build(name, *files, options=()) -> Path:
        target = tmp_path_factory.mktemp(name) / name
        sources = [FOLDER / file if isinstance(file, str) else file for file in files]
        subprocess.run(["gcc", *STRICT, *options, "-o", target, *sources], check=True)
        return target

    return build


@pytest.fixture(scope="session")
def pages(build) -> ctypes.CDLL:
    """``set_page.c`` as a library."""
    files = ("set_page.c", "contents.c")
    library = ctypes.CDLL(str(build("pages.so", *files, options=("-shared", "-fPIC"))))
    library.page_hash.restype = ctypes.c_uint64
    library.first_difference.restype = ctypes.c_uint32
    library.similar_word.restype = ctypes.c_uint32
    return library


@pytest.fixture(scope="session")
def pagegen(build) -> Path:
    """The whole program."""
    return build("pagegen", *sorted(FOLDER.glob("*.c")))
