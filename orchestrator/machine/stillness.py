"""A moment of the machine to look at: domUs paused, the store at rest, everything copied.

::

    host                               dom0 (testbed/still)
    ----                               --------------------------------------------
    hold ----- starts ---------------> pause the domUs, wait for the store, copy its files
         <---- still.json -----------
         QMP stop: no clock of a guest goes on
         memory outside of dom0's, swap disks -> files on the host
         QMP cont
         ----- go -------------------> the domUs go on
    fetch ---------------------------> the copies, when there is time

While the domUs are paused, their clocks go on for as long as dom0's does: that is
measured, so that it can be taken off. While QEMU stands, none does.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from orchestrator.commands import run
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine.jobs import DetachedJob

if TYPE_CHECKING:
    from orchestrator.machine.domains import DomainHandle
    from orchestrator.machine.session import Machine

__all__ = ["MEMORY_BASE", "Held", "Stillness", "dom0_banks", "outside"]

MEMORY_BASE = 0x40000000
"""Where QEMU's virt board has its memory."""

_FOLDER = "/run/testbed-still"
_STATE = "state"
"""Name of the folder of the store's files, beside its arena's own name."""
_MOST_SECONDS = 60.0
"""dom0's clock: then the domUs go on whatever the host does."""
_WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.05
_BANK = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM$", re.MULTILINE)

Range = tuple[int, int]
"""First address and the one behind the last."""


@dataclass(frozen=True)
class Held:
    """What was copied, and for how long nothing moved."""

    dom0_seconds: float
    """dom0's clock when the domUs had been paused."""
    stats: dict[str, Any]
    """What the store said of itself then: its control command ``stats``."""
    marks: dict[str, dict[str, int] | None]
    """Each domU's counters at its last MARK; None before its first."""
    paused_seconds: dict[str, float]
    """Of dom0's clock, by domU."""
    stopped_seconds: float
    """Of the host's clock: for how long QEMU stood."""
    memory: list[Path]
    """The machine's memory outside of dom0's, raw."""
    disks: dict[str, Path]
    """The domUs' swap disks, raw, by domU."""


@dataclass
class Stillness:
    """Holds a machine still once, and keeps what is copied in a folder on the host."""

    machine: Machine
    domains: Sequence[DomainHandle]
    folder: Path
    """On the host; it takes as much as the machine's memory."""

    def hold(self, deadline: Deadline, *, memory: bool = True) -> Held:
        """Pause the domUs, copy, and let them go on.

        Args:
            memory: whether to copy the machine's memory, too.

        Raises:
            InfrastructureError: dom0 or QEMU failed. The domUs go on all the same,
                after a minute of dom0's clock at the latest.
        """
        ssh = self.machine.dom0.ssh
        limit = deadline.within(_WAIT_SECONDS)
        banks = dom0_banks(ssh.read_file("/proc/iomem", deadline=limit))
        ssh.run(["rm", "-rf", _FOLDER], deadline=limit)
        job = DetachedJob.start(ssh, f"{_FOLDER}/job", self._script(), deadline=limit)
        try:
            still = self._wait_for("still.json", job, limit)
            began = time.monotonic()
            with self.machine.qmp.standing(limit):
                saved = self._save_memory(banks, limit) if memory else []
                disks = self._copy_disks(limit)
            stopped = time.monotonic() - began
        finally:
            ssh.run(["touch", f"{_FOLDER}/go"], deadline=limit)
        done = self._wait_for("done.json", job, limit)
        if not done["in_time"]:
            raise InfrastructureError("the domUs went on before everything had been copied")
        paused = done["paused_seconds"]
        return Held(
            dom0_seconds=still["dom0_seconds"],
            stats=still["stats"],
            marks=still["marks"],
            paused_seconds={one.name: paused[str(one.domid)] for one in self.domains},
            stopped_seconds=stopped,
            memory=saved,
            disks=disks,
        )

    def fetch(self, deadline: Deadline) -> Path:
        """Bring the copies of the store's files to the host; dom0 has them no more.

        Raises:
            InfrastructureError: dom0 does not give them.
        """
        ssh = self.machine.dom0.ssh
        target = self.folder / "store"
        target.mkdir()
        listed = ssh.run(["ls", f"{_FOLDER}/copy"], deadline=deadline).stdout.split()
        for name in listed:
            data = ssh.read_bytes(f"{_FOLDER}/copy/{name}", deadline=deadline)
            (target / PurePosixPath(name).name).write_bytes(data)
        ssh.run(["rm", "-rf", _FOLDER], deadline=deadline)
        return target

    def _script(self) -> str:
        store = self.machine.description.store
        state = PurePosixPath(store.arena_path).with_name(_STATE)
        domids = " ".join(str(one.domid) for one in self.domains)
        return (
            "cd / && export PYTHONPATH=/payload\n"
            f"exec python3 -m testbed.still --socket {store.control_socket} --state {state} "
            f"--to {_FOLDER} --most-seconds {_MOST_SECONDS:.0f} {domids}\n"
        )

    def _wait_for(self, name: str, job: DetachedJob, deadline: Deadline) -> dict[str, Any]:
        ssh = self.machine.dom0.ssh
        while True:
            said = ssh.run(["cat", f"{_FOLDER}/{name}"], deadline=deadline, check=False)
            if not said.status:
                found: dict[str, Any] = json.loads(said.stdout)
                return found
            if job.poll(deadline=deadline) is not None:
                raise InfrastructureError(
                    f"dom0 cannot hold the domUs still: {job.log(lines=5, deadline=deadline)}"
                )
            if deadline.expired:
                raise InfrastructureError("dom0 does not hold the domUs still in time")
            time.sleep(_POLL_SECONDS)

    def _save_memory(self, banks: Sequence[Range], deadline: Deadline) -> list[Path]:
        size = self.machine.description.memory_mib << 20
        files = []
        for number, (first, end) in enumerate(
            outside(banks, (MEMORY_BASE, MEMORY_BASE + size)), start=1
        ):
            path = self.folder / f"memory{number}"
            self.machine.qmp.save_memory(first, end - first, path, deadline)
            files.append(path)
        return files

    def _copy_disks(self, deadline: Deadline) -> dict[str, Path]:
        """QEMU has written all that it knows of a disk to its file when it stands."""
        copies = {}
        for one in self.domains:
            path = self.folder / f"swap.{one.name}"
            disk = self.machine.disk(f"swap.{one.name}")
            # -U: QEMU has the disk open, and does not write to it now
            run(
                ["qemu-img", "convert", "-U", "-f", disk.format, "-O", "raw", disk.path, path],
                deadline=deadline,
            )
            copies[one.name] = path
        return copies


def dom0_banks(iomem: str) -> list[Range]:
    """The parts of the machine's memory that are dom0's, from its ``/proc/iomem``.

    Xen maps dom0 one to one on Arm, so what dom0 takes for addresses of its memory
    are the machine's; a machine that was kept has no boot log of Xen's to say so.

    Raises:
        InfrastructureError: none is listed.
    """
    banks = [(int(first, 16), int(last, 16) + 1) for first, last in _BANK.findall(iomem)]
    if not banks or banks[0][1] == 1:  # addresses are zeros to who is not root
        raise InfrastructureError("dom0 does not list its memory in /proc/iomem")
    return banks


def outside(banks: Sequence[Range], whole: Range) -> list[Range]:
    """What is left of a range of addresses without ``banks``."""
    left = []
    first, end = whole
    for start, stop in sorted(banks):
        if start > first:
            left.append((first, min(start, end)))
        first = max(first, stop)
    if first < end:
        left.append((first, end))
    return left
