"""Our BR2_EXTERNAL tree by Buildroot's own measures."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.artifacts.buildroot.tree import FOLDER_VARIABLE
from orchestrator.artifacts.context import checkout

EXTERNAL = checkout() / "buildroot-configs"
DEFCONFIGS = sorted((EXTERNAL / "configs").glob("*_defconfig"))
pytestmark = pytest.mark.skipif(
    not os.environ.get(FOLDER_VARIABLE), reason=f"no Buildroot tree: {FOLDER_VARIABLE} is not set"
)


@pytest.fixture
def tree() -> Path:
    return Path(os.environ[FOLDER_VARIABLE]).absolute()


def make(tree: Path, output: Path, *words: str) -> None:
    argv = ["make", "-s", "-C", tree, f"O={output}", f"BR2_EXTERNAL={EXTERNAL}", *words]
    subprocess.run(argv, check=True, env={**os.environ, "MAKEFLAGS": ""}, stdout=subprocess.PIPE)


@pytest.mark.parametrize("defconfig", DEFCONFIGS, ids=lambda path: path.name)
def test_a_defconfig_saved_again_is_unchanged(tree: Path, tmp_path: Path, defconfig: Path) -> None:
    make(tree, tmp_path / "output", defconfig.name)
    saved = tmp_path / "saved"
    make(tree, tmp_path / "output", "savedefconfig", f"BR2_DEFCONFIG={saved}")
    assert saved.read_text() == defconfig.read_text()


def test_buildroots_checks_have_nothing_to_say(tree: Path) -> None:
    missing = [name for name in ("magic", "flake8") if importlib.util.find_spec(name) is None]
    missing += [] if shutil.which("shellcheck") else ["shellcheck"]
    if missing:
        pytest.skip(f"check-package needs {', '.join(missing)}")
    files = [path for path in sorted(EXTERNAL.rglob("*")) if path.is_file()]
    argv = [sys.executable, tree / "utils/check-package", "-b", *files]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "0 warnings generated" in done.stderr
