"""The store that lies (``testbed/hostile``), in dom0 in place of the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from orchestrator.deadline import Deadline
from orchestrator.machine.store import Store, json_object

if TYPE_CHECKING:
    from orchestrator.machine.session import Machine

__all__ = ["HostileStore"]

_REPORT = "/run/pageshare/lies.json"


@dataclass
class HostileStore(Store):
    """Started and stopped as the real one, which must not run meanwhile."""

    @classmethod
    def of(cls, machine: Machine, victim: str, seed: int) -> Self:
        """One that lies to the domU ``victim``; the others are told the truth."""
        return cls(
            machine.dom0.ssh,
            machine.description.store,
            machine.console("store"),
            machine.check,
            program="testbed.hostile",
            arguments=("--victim", victim, "--seed", str(seed), "--report", _REPORT),
        )

    def report(self, deadline: Deadline) -> dict[str, Any]:
        """What it did so far: see ``Liar.report``."""
        said = self.ssh.run(["cat", _REPORT], deadline=deadline).stdout
        return json_object("the lies' report", said)
