"""The patch series as a mailing list would look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.kernel_source import patched_tree
from orchestrator.kernel_tree.checkpatch import check_patch
from orchestrator.parts import Parts

SERIES = sorted((Path(__file__).parents[2] / "guest-kernel-patches/linux-6.1").glob("*.patch"))


@pytest.mark.parametrize("patch", SERIES, ids=lambda patch: patch.name[:4])
def test_checkpatch_has_nothing_to_say(parts: Parts, patch: Path) -> None:
    tree = patched_tree(parts.context).folder / "linux"
    assert [str(remark) for remark in check_patch(tree, patch)] == []


def test_series_is_signed_off_and_in_order() -> None:
    assert [patch.name[:4] for patch in SERIES] == [
        f"{number:04}" for number in range(1, len(SERIES) + 1)
    ]
    for patch in SERIES:
        assert "\nSigned-off-by: " in patch.read_text(), patch.name
