"""The patch series as a mailing list would look at it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.parts import Parts

SERIES = sorted((Path(__file__).parents[2] / "guest-kernel-patches/linux-6.1").glob("*.patch"))


@pytest.mark.parametrize("patch", SERIES, ids=lambda patch: patch.name[:4])
def test_checkpatch_has_nothing_to_say(parts: Parts, patch: Path) -> None:
    tree = patched_tree(parts.context).folder / "linux"
    done = subprocess.run(
        ["scripts/checkpatch.pl", "--strict", "--terse", "--show-types", "--no-summary",
         str(patch)],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line for line in done.stdout.splitlines() if re.search(r"ERROR|WARNING|CHECK", line)]
    # the names of xenbus' states are Xen's own, in every driver of the kernel
    rest = [line for line in said if not re.search(r"CAMELCASE.*<XenbusState\w+>", line)]
    assert rest == [], "\n".join(rest)


def test_series_is_signed_off_and_in_order() -> None:
    assert [patch.name[:4] for patch in SERIES] == [
        f"{number:04}" for number in range(1, len(SERIES) + 1)
    ]
    for patch in SERIES:
        assert "\nSigned-off-by: " in patch.read_text(), patch.name
