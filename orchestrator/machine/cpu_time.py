"""CPU time of every domain, as Xen counts it: in nanoseconds, dom0's included.

``xl list`` shows the same count in tenths of a second, and asks xenstore for
every name besides; Xen's Python binding makes one hypercall for all domains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.commands import Log, silent
from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError
from orchestrator.machine.session import Machine
from orchestrator.machine.ssh import Ssh

__all__ = ["DOM0", "CpuTime", "cpu_seconds", "parse_cpu_times"]

DOM0 = "dom0"
_CALL_SECONDS = 30.0

# -I -S: without the modules that only a user at a terminal wants, Python starts faster
_ASK = """\
python3 -ISc 'import sys
sys.path[:0] = sys.argv[1:]
from xen.lowlevel.xc import xc
for one in xc().domain_getinfo(): print(one["domid"], one["cpu_time"])
' /usr/lib/xen-*/lib/python"""


def cpu_seconds(dom0: Ssh, domids: Mapping[str, int], deadline: Deadline) -> dict[str, float]:
    """CPU seconds of each domain since it was created, by its name.

    Args:
        domids: Xen's numbers of the domains, by name.

    Raises:
        InfrastructureError: dom0 cannot tell.
    """
    return parse_cpu_times(dom0.run(_ASK, deadline=deadline).stdout, domids)


def parse_cpu_times(said: str, domids: Mapping[str, int]) -> dict[str, float]:
    """From lines of a domain's number and its nanoseconds.

    Raises:
        InfrastructureError: a line is something else.
    """
    try:
        known = {int(number): int(value) for number, value in map(str.split, said.splitlines())}
    except ValueError:
        raise InfrastructureError(f"CPU times that nobody can read: {said!r}") from None
    return {name: known[domid] / 1e9 for name, domid in domids.items() if domid in known}


@dataclass
class CpuTime:
    """What every domain of a machine computes during a block."""

    machine: Machine
    failed: Log = silent
    """Told why there are no figures; a run is good without them."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By domain's name, :data:`DOM0` included, once the block has ended well. A domain
    that was not there all the time is left out."""

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """The block."""
        before = self._ask()
        yield
        after = self._ask()
        self.seconds = {name: after[name] - before[name] for name in after.keys() & before.keys()}

    def _ask(self) -> dict[str, float]:
        domids = {DOM0: 0, **{name: one.domid for name, one in self.machine.domains.items()}}
        try:
            return cpu_seconds(self.machine.dom0.ssh, domids, Deadline.after(_CALL_SECONDS))
        except InfrastructureError as error:
            self.machine.check()
            self.failed(str(error))
            return {}
