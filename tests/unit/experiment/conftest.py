"""Experiment files of a test's own, in a checkout of a test's own."""

from __future__ import annotations

import pytest

from orchestrator.experiment import load_experiment


@pytest.fixture
def load(tmp_path):
    """Reads an experiment file of that text, whose objects lie beside it."""
    (tmp_path / "objects.txt").write_text("# why\nkernel/sched/core.o\n\nlib/vsprintf.o  # big\n")

    def load(text):
        path = tmp_path / "some.toml"
        path.write_text(text)
        return load_experiment(path, checkout=tmp_path)

    return load
