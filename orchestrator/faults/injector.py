"""A thread that strikes faults at their times and sees to it that all recovers.

::

    gap -> strike -> recovered? -> verify -> gap -> ...

Recovered means: the store answers, and every domU is connected to it. Then the
store is asked to verify all that it holds. Whatever it finds is a problem, which
makes the run INVALID; what ends the run is kept, and raised where it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from orchestrator.deadline import Deadline
from orchestrator.errors import GuestHung, InfrastructureError, TestbedError
from orchestrator.faults.schedule import Strike
from orchestrator.machine import Machine
from orchestrator.results import FaultOutcome
from orchestrator.workloads import PageLoops

__all__ = ["Injector"]

RECOVERY_SECONDS = 300.0
"""Until the store is back, every domU is connected, and all is verified."""
DOMAIN_SECONDS = 600.0
"""Until a domU that was destroyed is gone, created and answers SSH."""
SHOWN = 4


@dataclass
class Injector:
    """Strikes in turn; a context that ends with nothing frozen."""

    machine: Machine
    strikes: Sequence[Strike]
    loops: PageLoops
    """Of the domUs that may be destroyed."""
    struck: Callable[[FaultOutcome], None]
    """Called after each recovery, on the injector's thread."""
    asking: threading.Lock
    """Held while the store is frozen: a domU that is asked something then could lose
    the SSH server to its own deadline."""
    problems: list[str] = field(default_factory=list)
    """What the store found wrong with itself."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._failure: TestbedError | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):
            self._stop.set()  # Ctrl-C: the machine goes at once, and all that is frozen in it
        else:
            self.stop()

    @property
    def done(self) -> bool:
        """Whether every fault has struck and all has recovered."""
        return self._ended.is_set() and self._failure is None

    def start(self) -> None:
        """Begin with the first gap; nothing if it began already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Raise what has ended the faults before their time."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Strike no more; returns when nothing is frozen."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            for strike in self.strikes:
                if self._stop.wait(strike.gap_seconds):
                    return
                self.machine.check()
                self._strike(strike)
        except TestbedError as error:
            self._failure = error
        except Exception as error:  # the run must hear of it
            self._failure = InfrastructureError(f"faults have ended: {error!r}")
        finally:
            self._ended.set()

    def _strike(self, strike: Strike) -> None:
        began = time.monotonic()
        match strike.kind:
            case "kill-store":
                done = self._kill_store()
            case "freeze-store":
                done = self._freeze_store(strike.seconds or 0.0)
            case "destroy-domain":
                done = self._destroy_domain(strike.domain or "")
        back = time.monotonic()
        status = self._recover()
        recovered = time.monotonic()
        self._verify(f"after {strike.kind} {strike.number}", status)
        self.struck(
            FaultOutcome(
                kind=strike.kind,
                number=strike.number,
                host_seconds=began,
                seconds=round(back - began, 3),
                recovery_seconds=round(recovered - back, 3),
                done=done,
            )
        )

    def _kill_store(self) -> str:
        deadline = Deadline.after(RECOVERY_SECONDS)
        self.machine.store.kill(deadline)
        self.machine.store.start_again(deadline)
        return "SIGKILL to the store; started again at once"

    def _freeze_store(self, seconds: float) -> str:
        store = self.machine.store
        with self.asking:
            store.freeze(Deadline.after(RECOVERY_SECONDS))
            try:
                self._stop.wait(seconds)
            finally:
                store.thaw(Deadline.after(RECOVERY_SECONDS))
        return f"SIGSTOP to the store; SIGCONT {seconds:.2f} s later"

    def _destroy_domain(self, name: str) -> str:
        deadline = Deadline.after(DOMAIN_SECONDS)
        handle = self.machine.domains[name]
        self.loops.forget(name, deadline)
        self.machine.destroy_domain(name, deadline)
        handle.wait_gone(deadline)
        domain = self.machine.create_domain(name, deadline)
        self.loops.start(domain, deadline)
        return f"xl destroy {name} (domain {handle.domid}); created again as {domain.domid}"

    def _recover(self) -> dict[str, Any]:
        """Wait until the store answers and has every domU; its ``status`` then."""
        deadline = Deadline.after(RECOVERY_SECONDS)
        wanted = {domain.name for domain in self.machine.description.client_domains}
        while True:
            self.machine.check()
            status = self.machine.store.control("status", deadline)
            missing = wanted - set(status["connected"])
            if not missing:
                return status
            if deadline.expired:
                names = ", ".join(sorted(missing))
                raise GuestHung(f"{names}: not connected to the store before the deadline")
            if self._stop.wait(0.3):
                return status

    def _verify(self, when: str, status: dict[str, Any]) -> None:
        answer = self.machine.store.control("verify", Deadline.after(RECOVERY_SECONDS))
        found = [str(problem) for problem in answer["problems"]] + _open_books(status)
        self.problems += [f"{when}, the store finds: {problem}" for problem in found[:SHOWN]]
        if len(found) > SHOWN:
            self.problems.append(f"{when}, the store finds {len(found) - SHOWN} more")


def _open_books(status: dict[str, Any]) -> list[str]:
    table, arena = status.get("table_bytes"), status.get("arena_bytes")
    if table == arena:
        return []
    return [f"the table holds {table} bytes, the arena has given out {arena}"]
