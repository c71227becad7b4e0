"""What the kernels say of swapped pages while a workload runs (``testbed/memwatch``).

A small program in each domU, and in dom0 where dom0 keeps the pages, copies the
kernel's own files; what it printed is read when the workload has ended, so that
nobody asks a domU anything meanwhile.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.guest_program import build_guest_program
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, TestbedError
from orchestrator.machine import DetachedJob, DomainHandle, Machine, Ssh
from orchestrator.machine.swap_device import swap_disk
from orchestrator.metrics.swap import Place, SwapSample, swap_sample
from orchestrator.workloads.domain_swap import ZRAM

__all__ = ["MemoryWatch", "build_memwatch"]

_CALL_SECONDS = 60.0
_FOLDERS: dict[Place, str] = {"domU": "/mnt/scratch/jobs/memwatch", "dom0": "/run/memwatch"}
_IN_DOMU = {
    "swaps": "/proc/swaps",
    "mm_stat": f"{ZRAM}/mm_stat",
    "disksize": f"{ZRAM}/disksize",
    "stored": "/sys/kernel/debug/zswap/stored_pages",
    "same": "/sys/kernel/debug/zswap/same_filled_pages",
    "pool": "/sys/kernel/debug/zswap/pool_total_size",
}
"""Files of which not every kernel has all; by the name that ``swap_sample`` knows."""


def build_memwatch(cache: Cache) -> Path:
    """The static arm64 program, from the cache where it is there.

    Raises:
        UserError: the cross compiler is not installed.
        InfrastructureError: it does not compile.
    """
    return build_guest_program(cache, "memwatch", "testbed/memwatch")


@dataclass(frozen=True)
class _Watch:
    """One run of the program, in one domain."""

    place: Place
    ssh: Ssh
    job: DetachedJob


@dataclass
class MemoryWatch:
    """Watches all domUs of a machine."""

    program: Path
    """From ``build_memwatch``."""
    variant: str
    interval_ms: int
    in_dom0: bool = False
    """Whether dom0's zram disks keep the pages."""
    samples: list[SwapSample] = field(default_factory=list)
    """What was seen, once the watch has ended."""

    @contextmanager
    def watching(
        self, machine: Machine, domains: Sequence[DomainHandle], deadline: Deadline
    ) -> Iterator[None]:
        """From now on until the end of the block, whose samples are kept however it ends."""
        watches = [self._start("domU", one.ssh, _IN_DOMU, deadline) for one in domains]
        if self.in_dom0:
            files = _zram_files(machine.dom0.ssh, domains, deadline)
            watches.append(self._start("dom0", machine.dom0.ssh, files, deadline))
        try:
            yield
        except BaseException:
            with suppress(TestbedError):  # what ended the workload is the news
                self._collect(watches, domains)
            raise
        self._collect(watches, domains)

    def _start(
        self, place: Place, ssh: Ssh, files: Mapping[str, str], deadline: Deadline
    ) -> _Watch:
        folder = _FOLDERS[place]
        program = f"{folder}/memwatch"
        ssh.run(["mkdir", "-p", folder], deadline=deadline)
        ssh.write_file(program, self.program.read_bytes(), deadline=deadline, mode=0o755)
        named = [f"{name}={path}" for name, path in files.items()]
        argv = [program, "--interval-ms", str(self.interval_ms), "--until", f"{folder}/end"]
        script = f"rm -f {folder}/end; exec {shlex.join([*argv, *named])}\n"
        return _Watch(place, ssh, DetachedJob.start(ssh, folder, script, deadline=deadline))

    def _collect(self, watches: Sequence[_Watch], domains: Sequence[DomainHandle]) -> None:
        names = [domain.name for domain in domains]
        for watch in watches:
            deadline = Deadline.after(_CALL_SECONDS)
            watch.ssh.run(["touch", f"{watch.job.folder}/end"], deadline=deadline)
            status = watch.job.wait(deadline=deadline, interval=0.2)
            said = watch.job.log(deadline=deadline)
            if status:
                raise InfrastructureError(
                    f"{watch.ssh.name}: memwatch ended with status {status}: {said[-500:]}"
                )
            mine = [watch.ssh.name] if watch.place == "domU" else names
            self.samples += [
                sample for line in said.splitlines() for sample in self._parse(watch, line, mine)
            ]

    def _parse(self, watch: _Watch, line: str, names: Sequence[str]) -> Iterator[SwapSample]:
        files = json.loads(line)
        seconds = files.pop("seconds")
        for name in names:
            mine = files if watch.place == "domU" else _files_of(name, files)
            yield swap_sample(self.variant, name, watch.place, seconds, mine)


def _zram_files(dom0: Ssh, domains: Sequence[DomainHandle], deadline: Deadline) -> dict[str, str]:
    """Of each domU's zram disk in dom0."""
    disks = [swap_disk(domain.name) for domain in domains]
    found = dom0.run(["readlink", *disks], deadline=deadline).stdout.split()
    return {
        f"{domain.name}.{file}": f"/sys/block/{Path(device).name}/{file}"
        for domain, device in zip(domains, found, strict=True)
        for file in ("mm_stat", "disksize")
    }


def _files_of(name: str, files: Mapping[str, str | None]) -> dict[str, str | None]:
    start = f"{name}."
    return {key.removeprefix(start): text for key, text in files.items() if key.startswith(start)}
