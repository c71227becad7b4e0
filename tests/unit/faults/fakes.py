"""A machine that writes down what is done to it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import ClassVar

from orchestrator.errors import InfrastructureError
from orchestrator.metrics.series import STARTED
from orchestrator.results import Latency
from orchestrator.workloads import JobResult


class FakeStore:
    def __init__(self, said):
        self.said = said
        self.frozen = False
        self.problems = []
        self.connected = [["domU1", "domU2", "victim"]]
        self.broken = False

    def kill(self, deadline):
        self.said.append("kill")

    def start_again(self, deadline):
        if self.broken:
            raise InfrastructureError("the store ended at once")
        self.said.append("start again")

    def freeze(self, deadline):
        self.frozen = True
        self.said.append("freeze")

    def thaw(self, deadline):
        self.frozen = False
        self.said.append("thaw")

    def control(self, command, deadline):
        self.said.append(command)
        if command == "verify":
            return {"problems": self.problems}
        names = self.connected.pop(0) if len(self.connected) > 1 else self.connected[0]
        return {"connected": names, "table_bytes": 5, "arena_bytes": 5}

    def reset_peak(self, deadline):
        self.said.append("reset-peak")

    def peak(self, deadline):
        return {"mark": None, "entries": [], "sharing_histogram": {}}


class FakeDomain:
    def __init__(self, name, domid, said):
        self.name, self.domid, self.said = name, domid, said

    def wait_gone(self, deadline):
        self.said.append(f"{self.name} is gone")


class FakeMachine:
    def __init__(self, names=("domU1", "domU2", "victim")):
        self.said = []
        self.store = FakeStore(self.said)
        self.domains = {name: FakeDomain(name, n, self.said) for n, name in enumerate(names, 1)}
        clients = [SimpleNamespace(name=name) for name in names]
        self.description = SimpleNamespace(client_domains=clients)
        self.qmp = None

    def check(self):
        pass

    check_all = check

    def destroy_domain(self, name, deadline):
        del self.domains[name]
        self.said.append(f"destroy {name}")

    def create_domain(self, name, deadline):
        self.said.append(f"create {name}")
        self.domains[name] = FakeDomain(name, 9, self.said)
        return self.domains[name]


class FakeLoops:
    """In place of PageLoops."""

    failure: ClassVar[Exception | None] = None
    """What the next look raises, once."""

    def __init__(self, said=None, **fields):
        self.said = [] if said is None else said
        self.rounds = {}

    def forget(self, name, deadline):
        self.said.append(f"forget {name}")

    def start(self, domain, deadline):
        self.said.append(f"load {domain.name}")

    def check(self, deadline):
        failure, FakeLoops.failure = FakeLoops.failure, None
        if failure:
            raise failure

    def finish(self, deadline):
        self.said.append("finish")


class FakeCompile:
    """In place of KernelCompile: each build does as ``script`` says.

    A step is the digests of both domUs, or an error to raise.
    """

    script: ClassVar[list] = []
    left: ClassVar[dict] = {}
    made: ClassVar[list] = []

    def __init__(self, **fields):
        self.fields = fields
        self.asking = fields["asking"]
        self.begun = []
        self.made.append(self)

    def run(self, machine, domains, deadline, watcher):
        self.begun.append([domain.name for domain in domains])
        watcher.note(STARTED)
        watcher.check()
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        threading.Event().wait(0.02)
        return {
            domain.name: JobResult(
                exit_code=0, guest_seconds=1.5, wall_seconds=2.5, digests=step, log=""
            )
            for domain in domains
        }

    def existing(self, domain, deadline):
        return self.left


class FakeCollector:
    def __init__(self, *arguments, **fields):
        self.latest = None

    def start(self, variant, after):
        pass

    def stop(self):
        pass

    def note(self, note):
        pass

    def check(self):
        pass


def no_latency(domain):
    return Latency()
