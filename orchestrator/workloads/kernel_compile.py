"""``kernel-compile``: every domU builds the same kernel targets with its own gcc.

All start at one barrier, each as a detached job, so that a lost connection
loses no work. In a domU::

    /toolchain            chroot with gcc and make (read-only disk)
    /toolchain/work       overlay: workload disk below, scratch disk above
    /mnt/scratch/compile  the job's folder: script, log, status, times, digests
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from orchestrator.artifacts.context import checkout, read_list
from orchestrator.deadline import Deadline
from orchestrator.errors import WorkloadFailed
from orchestrator.machine import DetachedJob, DomainHandle, Machine
from orchestrator.workloads.together import Nobody, Together, Watcher, failure

__all__ = ["CHECKPOINT_SECONDS", "CompileResult", "KernelCompile", "make_arguments"]

JOB = "/mnt/scratch/compile"
_TREE = "/work/linux"
_UPPER = "/mnt/scratch/upper/linux"
_PREPARE_SECONDS = 60.0
CHECKPOINT_SECONDS = 60
"""How often a build that can be resumed is made safe: what an interruption costs at most."""
_COLLECT_SECONDS = 120.0

_SCRIPT = """\
cd {job} || exit 1
{skew}
rm -f digests
{clean}
read start rest </proc/uptime
{resume}
chroot /toolchain /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp \\
    make -C {tree} {arguments} {targets}
status=$?
read end rest </proc/uptime
{stop}
echo "$start $end" >>times
[ $status = 0 ] || exit $status
cd /toolchain{tree} && {objects} | xargs sha256sum >{job}/digests
"""

# A domU that vanishes can leave objects whose data never reached the disk. So
# what is newer than the last completed sync is thrown away, and make builds it
# again; all else is taken as it is. (The upper layer is only read here.) Each
# session's time is kept with its checkpoints, so that they can be added up.
_RESUME = """\
[ ! -e times.now ] || {{ cat times.now >>times && rm times.now; }}
if [ -e checkpoint ] && [ -d {upper} ]; then
    (cd {upper} && find . -newer {job}/checkpoint \\
        \\( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name 'vmlinux*' \\)) |
        (cd /toolchain{tree} && xargs -r rm -f)
fi
checkpoint() {{
    read now rest </proc/uptime
    touch checkpoint.new && sync && mv checkpoint.new checkpoint
    echo "$start $now" >times.new && mv times.new times.now
}}
(while sleep {seconds}; do checkpoint; done) &
saver=$!
"""
_CLEAN = "(cd /toolchain{tree} && rm -f {files})"
# An object is complete when Kbuild has written its command beside it.
_EXISTING = """\
cd /toolchain{tree} && while read object command; do
    [ -e $object ] && [ -e $command ] && echo $object
done | xargs -r sha256sum
"""
_STOP = "kill $saver; checkpoint; rm times.now"
_ONE_SESSION = "rm -f times"


@dataclass(frozen=True)
class CompileResult:
    """What one domU made of it."""

    exit_code: int
    """Always 0: another one raises."""
    guest_seconds: float
    """By the domU's own clock, from before make to after it; of a resumed build, the
    sum over its sessions, up to the last checkpoint of each that was interrupted."""
    wall_seconds: float
    """By the host's clock, from the barrier until the end was seen."""
    digests: dict[str, str]
    """SHA-256 (hex) of each object, by its path in the kernel tree."""
    log: str
    """What make printed."""


@dataclass(frozen=True)
class KernelCompile:
    """The workload; one object can run it any number of times."""

    targets: Sequence[str]
    """Objects or other targets of make, relative to the kernel tree."""
    checkpoint_seconds: int = 0
    """How often a build that may be resumed is made safe on its scratch disk;
    0: not at all. To resume, boot with the same ``state`` folder and run again."""
    poll_seconds: float = 0.5
    """How often their consoles are looked at for a sign that they are done."""
    skew: Mapping[str, float] = field(default_factory=dict)
    """Seconds of its own clock that a domU waits, by its name, before it begins."""
    date: int | None = None
    """What the domUs' clocks are set to, seconds since 1970; the host's time where None."""
    clean: bool = False
    """Remove the targets, which must be objects, before they are built."""
    patient: bool = False
    """Where a build fails, wait for the other domUs' ends before it is told."""
    asking: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held while a domU is asked something."""
    timed: Callable[[], AbstractContextManager[object]] = nullcontext
    """Held from just before the barrier until the last domU's end."""
    arguments: Sequence[str] = field(default_factory=lambda: make_arguments())

    def run(
        self,
        machine: Machine,
        domains: Sequence[DomainHandle],
        deadline: Deadline,
        watcher: Watcher | None = None,
    ) -> dict[str, CompileResult]:
        """Build in all ``domains`` at once and return the results by name.

        Raises:
            WorkloadFailed: make failed in a domU; its last lines are included.
            GuestPanic, GuestHung, InfrastructureError: as the machine has it.
        """
        watcher = watcher or Nobody()
        prepare = deadline.within(_PREPARE_SECONDS)
        calls = [lambda domain=domain: self._prepare(domain, prepare) for domain in domains]
        with self.asking():
            jobs = dict(zip((d.name for d in domains), machine.in_parallel(calls), strict=True))
        seconds = self._together.run(machine, jobs, prepare, deadline, watcher)
        with self.asking():
            return {name: _collect(job, seconds[name], deadline) for name, job in jobs.items()}

    def script(self, skew: float = 0) -> str:
        """What runs in a domU (sh), after ``skew`` seconds."""
        values = {"job": JOB, "tree": _TREE, "upper": _UPPER}
        resume = _RESUME.format(seconds=self.checkpoint_seconds, **values)
        named = shlex.join(["printf", "%s\\n", *self.targets])
        everything = f"(cd {_UPPER} && find . -name '*.o' | sed 's,^./,,' | sort); {named}"
        only_objects = all(target.endswith(".o") for target in self.targets)
        files = shlex.join([*self.targets, *map(_command_of, self.targets)])
        return _SCRIPT.format(
            skew=f"sleep {skew:.3f}" if skew else "",
            clean=_CLEAN.format(tree=_TREE, files=files) if self.clean else "",
            resume=resume if self.checkpoint_seconds else _ONE_SESSION,
            stop=_STOP if self.checkpoint_seconds else "",
            arguments=shlex.join(self.arguments),
            targets=shlex.join(self.targets),
            objects=named if only_objects else f"{{ {everything}; }}",
            **values,
        )

    def existing(self, domain: DomainHandle, deadline: Deadline) -> dict[str, str]:
        """SHA-256 of the objects that are there, of a build that failed."""
        lines = "".join(f"{target} {_command_of(target)}\n" for target in self.targets)
        script = _EXISTING.format(tree=_TREE)
        said = domain.ssh.run(script, data=lines.encode(), deadline=deadline, check=False)
        return _digests(said.stdout)

    @property
    def _together(self) -> Together:
        return Together(
            "the build", _failure, self.patient, self.poll_seconds, self.asking, self.timed
        )

    def _prepare(self, domain: DomainHandle, deadline: Deadline) -> DetachedJob:
        # a domU's clock starts anywhere; make compares times with the tree's, and
        # with those of an earlier boot when it resumes
        date = int(time.time()) if self.date is None else self.date
        domain.ssh.run(["date", "-u", "-s", f"@{date}"], deadline=deadline)
        script = self.script(self.skew.get(domain.name, 0))
        return DetachedJob.prepare(
            domain.ssh, JOB, script, deadline=deadline, console=domain.console
        )


def make_arguments() -> list[str]:
    """The variables that every make of the kernel tree is given."""
    return read_list(checkout() / "testbed/images/workload/make-arguments.txt")


def _collect(job: DetachedJob, wall_seconds: float, deadline: Deadline) -> CompileResult:
    limit = deadline.within(_COLLECT_SECONDS)
    sessions = job.ssh.read_file(f"{job.folder}/times", deadline=limit).splitlines()
    spans = [(float(start), float(end)) for start, end in map(str.split, sessions)]
    digests = _digests(job.ssh.read_file(f"{job.folder}/digests", deadline=limit))
    return CompileResult(
        exit_code=0,
        guest_seconds=round(sum(end - start for start, end in spans), 2),
        wall_seconds=round(wall_seconds, 2),
        digests=digests,
        log=job.log(deadline=limit),
    )


def _digests(text: str) -> dict[str, str]:
    """What ``sha256sum`` printed, by file."""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    return {name: digest for digest, name in lines}


def _command_of(target: str) -> str:
    """The file that Kbuild writes when an object is complete: ``lib/.idr.o.cmd``."""
    folder, _, name = target.rpartition("/")
    return f"{folder}/.{name}.cmd" if folder else f".{name}.cmd"


def _failure(name: str, job: DetachedJob, status: int) -> WorkloadFailed:
    return failure(name, "make", job, status)
