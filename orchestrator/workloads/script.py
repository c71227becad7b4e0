"""``script``: every domU runs the same program beside the toolchain and the kernel tree."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from orchestrator.workloads.toolchain_job import CHROOT, JOB, ToolchainJob

__all__ = ["OUTPUT", "Script"]

OUTPUT = "output"
"""What the script prints, as an item with a digest."""

_SCRIPT = """\
cd {job} || exit 1
{skew}
rm -f digests times
read start rest </proc/uptime
{chroot} sh -c {text} >{output}
status=$?
read end rest </proc/uptime
echo "$start $end" >times
[ $status = 0 ] || exit $status
sha256sum {output} >digests
"""


@dataclass(frozen=True)
class Script(ToolchainJob):
    """The workload; one object can run it any number of times."""

    what = "the script"
    program = "the script"

    text: str
    """Lines for sh, in the chroot: the kernel tree is ``/work/linux`` there."""

    def script(self, domain: str) -> str:
        """See :class:`ToolchainJob`."""
        return _SCRIPT.format(
            job=JOB,
            skew=self.waiting(domain),
            chroot=CHROOT,
            text=shlex.quote(self.text),
            output=OUTPUT,
        )
