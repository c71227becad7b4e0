"""``kernel-compile``: every domU builds kernel targets with its own gcc."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.artifacts.context import checkout, read_list
from orchestrator.deadline import Deadline
from orchestrator.machine import DomainHandle
from orchestrator.workloads.toolchain_job import CHROOT, JOB, ToolchainJob, parse_digests

__all__ = ["CHECKPOINT_SECONDS", "KernelCompile", "make_arguments"]

_TREE = "/work/linux"
_UPPER = "/mnt/scratch/upper/linux"
CHECKPOINT_SECONDS = 60
"""How often a build that can be resumed is made safe: what an interruption costs at most."""

_SCRIPT = """\
cd {job} || exit 1
{skew}
rm -f digests
{clean}
read start rest </proc/uptime
{resume}
{chroot} make -C {tree} {arguments} {targets}
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
class KernelCompile(ToolchainJob):
    """The workload; one object can run it any number of times."""

    what = "the build"
    program = "make"

    targets: Sequence[str]
    """Objects or other targets of make, relative to the kernel tree."""
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What a domU builds in place of them, by its name."""
    checkpoint_seconds: int = 0
    """How often a build that may be resumed is made safe on its scratch disk;
    0: not at all. To resume, boot with the same ``state`` folder and run again."""
    clean: bool = False
    """Remove the targets, which must be objects, before they are built."""
    arguments: Sequence[str] = field(default_factory=lambda: make_arguments())

    def script(self, domain: str) -> str:
        """See :class:`ToolchainJob`."""
        targets = self.targets_of(domain)
        values = {"job": JOB, "tree": _TREE, "upper": _UPPER}
        resume = _RESUME.format(seconds=self.checkpoint_seconds, **values)
        named = shlex.join(["printf", "%s\\n", *targets])
        everything = f"(cd {_UPPER} && find . -name '*.o' | sed 's,^./,,' | sort); {named}"
        only_objects = all(target.endswith(".o") for target in targets)
        files = shlex.join([*targets, *map(_command_of, targets)])
        return _SCRIPT.format(
            skew=self.waiting(domain),
            chroot=CHROOT,
            clean=_CLEAN.format(tree=_TREE, files=files) if self.clean else "",
            resume=resume if self.checkpoint_seconds else _ONE_SESSION,
            stop=_STOP if self.checkpoint_seconds else "",
            arguments=shlex.join(self.arguments),
            targets=shlex.join(targets),
            objects=named if only_objects else f"{{ {everything}; }}",
            **values,
        )

    def targets_of(self, domain: str) -> Sequence[str]:
        """What a domU builds."""
        return self.others.get(domain, self.targets)

    def existing(self, domain: DomainHandle, deadline: Deadline) -> dict[str, str]:
        """SHA-256 of the objects that are there, of a build that failed."""
        targets = self.targets_of(domain.name)
        lines = "".join(f"{target} {_command_of(target)}\n" for target in targets)
        script = _EXISTING.format(tree=_TREE)
        said = domain.ssh.run(script, data=lines.encode(), deadline=deadline, check=False)
        return parse_digests(said.stdout)


def make_arguments() -> list[str]:
    """The variables that every make of the kernel tree is given."""
    return read_list(checkout() / "testbed/images/workload/make-arguments.txt")


def _command_of(target: str) -> str:
    """The file that Kbuild writes when an object is complete: ``lib/.idr.o.cmd``."""
    folder, _, name = target.rpartition("/")
    return f"{folder}/.{name}.cmd" if folder else f".{name}.cmd"
