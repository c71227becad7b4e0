"""Synthetic runs for the tests of the results. Nothing outside tests/ may use them.

The figures follow from a small model of what a store would hold, so that the
books close and the parts add up by construction.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from orchestrator.metrics.records import Peak, parse_record
from orchestrator.metrics.samples import Dom0Memory, MachineMemory, Sample
from orchestrator.results.folder import RunFolder
from orchestrator.results.manifest import (
    ArtifactEntry,
    ExperimentEntry,
    HostEntry,
    Manifest,
    PatchEntry,
    Project,
)
from orchestrator.results.outcome import DomainOutcome, Latency, LatencyFigures, VariantOutcome

LENGTH = 1000
"""Bytes of every synthetic payload."""
OBJECTS = {"kernel/sched/core.o": "a" * 64, "lib/vsprintf.o": "b" * 64}


def mark(
    sequence,
    *,
    domain="domU1",
    at=None,
    pages=(900, 1100),
    same=(200, 240),
    within=50,
    between=300,
    overrides=None,
):
    """One MARK as the store would write it: every payload is LENGTH bytes.

    Of the pages that each domU holds, ``within`` are copies of its own and
    ``between`` are equal to pages of the other domU.
    """
    names = [f"domU{index + 1}" for index in range(len(pages))]
    held = {name: logical - alike for name, logical, alike in zip(names, pages, same, strict=True)}
    entries = sum(held.values()) - within * len(names) - between
    payload = entries * LENGTH
    own = names.index(domain)
    states = {
        name: {
            "logical_pages": pages[index],
            "same_filled_pages": same[index],
            "held_pages": held[name],
            "charged_bytes": held[name] * LENGTH,
            "distinct_bytes": (held[name] - within) * LENGTH,
            "frontend_bytes": 1_200_000,
            "swap_slots_used": pages[index] + 60,
        }
        for index, name in enumerate(names)
    }
    record = {
        "kind": "mark",
        "sequence": sequence,
        "dom0_seconds": 100.0 + (sequence * 0.25 if at is None else at),
        "domain": domain,
        "counters": {
            "guest_nanoseconds": 10**9 * (sequence + 1),
            "held_pages": held[domain],
            "same_filled_pages": same[own],
            "swap_slots_used": pages[own] + 60,
            "stores": held[domain] * 3,
            "loads": held[domain] * 2,
            "reject_no_credit": 0,
            "reject_poor_compression": 41,
            "load_error_corrupt": 0,
        },
        "books": {
            "held_pages": held[domain],
            "references": held[domain],
            "table_bytes": payload,
            "arena_bytes": payload,
            "closed": True,
        },
        "domains": states,
        "table": {
            "entries": entries,
            "payload_bytes": payload,
            "footprint_bytes": payload + entries * 64,
            "arena_reserved_bytes": payload + entries * 24,
            "arena_rounded_bytes": entries * 24,
            "metadata_bytes": entries * 40,
        },
        "service": {
            "requests": 1000 * sequence,
            "stores": 600 * sequence,
            "loads": 300 * sequence,
            "shared_hits": 90 * sequence,
            "busy_seconds": 0.2 * sequence,
            "rss_bytes": 30_000_000,
            "looked_pages": 40 * sequence,
            "look_seconds": 0.01 * sequence,
        },
    }
    for path, value in (overrides or {}).items():
        *parents, last = path.split(".")
        place = record
        for parent in parents:
            place = place[parent]
        place[last] = value
    return record


def parsed(record):
    found = parse_record(json.dumps(record))
    assert found is not None
    return found


def peak_of(record):
    """The store's answer to ``peak`` that fits ``record``."""
    table = record["table"]
    shared = min(300, table["entries"])
    entries = [[page, 2 if page < shared else 1, LENGTH] for page in range(table["entries"])]
    histogram = {"1": table["entries"] - shared, "2": shared}
    return Peak.model_validate({"mark": record, "entries": entries, "sharing_histogram": histogram})


def sample(variant, seconds, records, *, note=None, gaps=()):
    return Sample(
        variant=variant,
        host_seconds=5000.0 + seconds,
        seconds=seconds,
        machine=MachineMemory(base_bytes=2**31, plugged_bytes=0),
        dom0=Dom0Memory(
            total_bytes=2**29,
            free_bytes=2**28,
            available_bytes=2**28,
            swap_in_bytes=0,
            swap_out_bytes=0,
            updated_at=1,
        ),
        records=records,
        gaps=list(gaps),
        note=note,
    )


def swell(step, steps, highest):
    """Pages at one step of a made-up run: waves that grow and fall."""
    x = step / steps
    wave = 0.75 + 0.25 * math.sin(14 * x + highest / 300)
    return max(int(highest * math.sin(math.pi * min(1.15 * x, 1)) * wave), 4)


def outcome(variant, randomize, *, title="", **changes):
    latency = Latency(
        store=LatencyFigures(count=4000, median_microseconds=210.0, p99_microseconds=1900.0),
        load=LatencyFigures(count=2500, median_microseconds=340.0, p99_microseconds=2600.0),
    )
    domains = [
        DomainOutcome(
            name=name,
            exit_code=0,
            guest_seconds=171.2 + index,
            wall_seconds=180.0,
            digests=OBJECTS,
            latency=latency,
        )
        for index, name in enumerate(("domU1", "domU2"))
    ]
    fields = {
        "name": variant,
        "title": title,
        "randomize_va_space": randomize,
        "wall_seconds": 185.0,
        "domains": domains,
        "reference_digests": OBJECTS,
        "store_requests_per_second": 2400.0,
    }
    return VariantOutcome(**{**fields, **changes})


def manifest(run_id="20260101T000000Z-synthetic", variants=("default", "norandom")):
    return Manifest(
        run_id=run_id,
        project=Project(version="0.0.0", commit="0" * 40, modified=False),
        experiment=ExperimentEntry(
            file="synthetic.toml",
            digest="c" * 64,
            content={"name": "synthetic", "variant": [{"name": name} for name in variants]},
        ),
        versions={"qemu": "7.2", "xen": "4.17", "linux": "6.1"},
        artifacts={"kernel": ArtifactEntry(key="d" * 64, digest="e" * 64, inputs={"gcc": "12.2"})},
        patches=[PatchEntry(name="0001-synthetic.patch", digest="f" * 64)],
        qemu_command=["qemu-system-aarch64", "-M", "virt"],
        host=HostEntry(cpus=2, memory_bytes=2**34, system="synthetic", model="none"),
    )


def write_run(root: Path, *, steps=160, run_id="20260101T000000Z-synthetic") -> Path:
    """A complete synthetic run but for its report and summary."""
    variants = {"default": (2, 60), "norandom": (0, 420)}
    titles = {"default": "address randomisation on", "norandom": "address randomisation off"}
    with RunFolder.create(root, manifest(run_id, tuple(variants))) as folder:
        folder.event("boot", {"machine": "synthetic"})
        (folder.console / "domU1.log").write_text("synthetic\n")
        for name, (randomize, between) in variants.items():
            highest = None
            folder.append_sample(sample(name, 0.0, [], note="workload-started"))
            for step in range(1, steps):
                pages = (swell(step, steps, 1700), swell(step, steps, 2100))
                same = tuple(count // 5 for count in pages)
                record = mark(
                    step,
                    domain="domU2" if step % 2 else "domU1",
                    at=step * 1.1,
                    pages=pages,
                    same=same,
                    within=min(pages) // 20,
                    between=min(between * min(pages) // 1700, min(pages) // 2),
                )
                folder.append_sample(sample(name, step * 1.1 + 0.2, [parsed(record)]))
                if highest is None or sum(pages) > parsed(highest).logical_pages:
                    highest = record
            title = titles[name]
            folder.write_variant(outcome(name, randomize, title=title), peak_of(highest))
        folder.event("finished")
        return folder.path
