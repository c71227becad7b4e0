"""How far repetitions lie apart: only those of the same inputs, only on the counted clock."""

from __future__ import annotations

import pytest

from orchestrator.results import RunFolder, read_run
from orchestrator.results.build import build_summary
from tests.unit.results.synthetic import manifest, mark, outcome, parsed, peak_of, sample

NAMES = ("idle", "busy", "other")


@pytest.fixture
def spread(tmp_path):
    def spread(times, *, counted=True):
        described = manifest("run", NAMES)
        content = described.experiment.content | {
            "timing": "icount" if counted else "realtime",
            "variant": [
                {"name": "idle", "randomize_va_space": 0},
                {"name": "busy", "randomize_va_space": 0, "host_load": 4, "title": "busy host"},
                {"name": "other", "randomize_va_space": 2},
            ],
        }
        experiment = described.experiment.model_copy(update={"content": content})
        described = described.model_copy(update={"experiment": experiment})
        with RunFolder.create(tmp_path, described) as folder:
            for name, seconds in zip(NAMES, times, strict=True):
                ended = outcome(name, 0)
                clock = "instruction_seconds" if counted else "guest_seconds"
                other = "guest_seconds" if counted else "instruction_seconds"
                domains = [
                    domain.model_copy(update={clock: seconds + at, other: None})
                    for at, domain in enumerate(ended.domains)
                ]
                record = mark(1)
                folder.append_sample(sample(name, 1.0, [parsed(record)]))
                folder.write_variant(ended.model_copy(update={"domains": domains}), peak_of(record))
            return build_summary(read_run(folder.path))

    return spread


def test_only_variants_of_the_same_inputs_are_compared(spread):
    summary = spread((100.0, 101.0, 150.0))
    assert summary.timing == "icount"
    assert summary.guest_time_spread == pytest.approx(1 / 100.5)
    assert summary.variants[0].domains[0].workload_seconds == 100.0


def test_the_hosts_clock_is_not_expected_to_repeat(spread):
    assert spread((100.0, 101.0, 150.0), counted=False).guest_time_spread is None
