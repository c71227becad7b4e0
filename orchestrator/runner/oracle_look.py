"""The oracle's look at one variant: when, what is kept of it, and what it comes to.

A thread of its own watches the store's MARKs while the workload runs and holds
the machine still when it is time: once where the experiment says when, else at
each highest number of swapped pages that lies well above that of the last look,
so that the last one is near the peak. What is copied then is worked on when the
workload has ended, so that the host's CPUs are the guests' until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from orchestrator.deadline import Deadline
from orchestrator.errors import InfrastructureError, TestbedError
from orchestrator.experiment import Oracle
from orchestrator.machine import DomainHandle, Held, Machine, Stillness
from orchestrator.metrics import Collector, MarkRecord
from orchestrator.metrics.series import LOOK_BEGAN, LOOK_ENDED, STARTED
from orchestrator.oracle import look_at, look_at_memory, read_regions
from orchestrator.results import (
    OracleDomain,
    OracleFile,
    OracleMemory,
    OraclePages,
    OracleTable,
)
from orchestrator.runner.setting import Setting
from orchestrator.workloads import JobResult

__all__ = ["Moment", "OracleLook", "oracle_look"]

_POLL_SECONDS = 0.1
_FETCH_SECONDS = 300.0
_HIGHER = 1.5
"""Times as many swapped pages as at the last look: then it looks again."""
_FEW_PAGES = 1024
"""4 MiB: before a workload swaps in earnest, its pages rise and fall, too."""
_AT_REST_SECONDS = 1.0
"""Of dom0's clock without a new highest: until then, they still rise."""


@dataclass
class Moment:
    """Notices from the MARKs when it is time to look."""

    at_seconds: float | None
    """Of dom0's clock since the workload began; None: near the peak of swapped pages."""
    began: float | None = None
    """dom0's clock at the first MARK."""
    highest: int = 0
    """Swapped pages of all domUs."""
    highest_at: float = 0.0
    """dom0's clock then."""
    looked_at: int = 0
    """Swapped pages at the last look."""
    over: bool = False
    """Whether there is nothing more to look at."""

    def has_come(self, mark: MarkRecord) -> bool:
        """Whether to look, now that ``mark`` is the newest."""
        if self.began is None:
            self.began = mark.dom0_seconds
        if self.at_seconds is not None:
            self.over = mark.dom0_seconds - self.began >= self.at_seconds
            return self.over
        if mark.logical_pages > self.highest:
            self.highest, self.highest_at = mark.logical_pages, mark.dom0_seconds
        if (
            mark.logical_pages < max(_FEW_PAGES, _HIGHER * self.looked_at)
            or mark.dom0_seconds - self.highest_at < _AT_REST_SECONDS
        ):
            return False
        self.looked_at = mark.logical_pages
        return True


@dataclass(frozen=True)
class _Seen:
    """What is known when everything goes on."""

    held: Held
    seconds: float
    """Of dom0's clock since the workload began."""


@dataclass(frozen=True)
class _Pause:
    """What one look cost."""

    host_began: float
    """The host's clock before anything was paused."""
    held: Held


@dataclass
class OracleLook:
    """One look; the workload's watcher while it runs, in place of the collector."""

    wanted: Oracle
    variant: str
    compressor: str
    stillness: Stillness
    deadline: Deadline
    log: Callable[[str], None]
    missing: str | None = "the workload ended before it was time to look"
    """Why there is nothing to be had; None once there is."""
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _seen: _Seen | None = None
    _pauses: list[_Pause] = field(default_factory=list)
    _started: float = 0.0
    """The host's clock when the workload began."""
    _failure: Exception | None = None
    """What nobody expected."""

    @contextmanager
    def watching(self, collector: Collector) -> Iterator[Self]:
        """Looks inside, after the note that the workload has begun."""
        self._collector = collector
        self._thread = threading.Thread(target=self._guarded, name="oracle", daemon=True)
        try:
            yield self
        finally:
            self._stop.set()
            if self._thread.ident is not None:
                self._thread.join()

    def asking(self) -> AbstractContextManager[object]:
        """Held while a domU is asked something: one that is paused does not answer."""
        return self._asking

    def note(self, note: str, /) -> None:
        """See ``Watcher``."""
        self._collector.note(note)
        if note == STARTED:
            self._started = time.monotonic()
            self._thread.start()

    def check(self) -> None:
        """See ``Watcher``."""
        self._collector.check()

    def undisturbed(self, name: str, result: JobResult) -> JobResult:
        """A domU's result without the time for which it stood, if it built then.

        Xen lets a domU's clock go on while it is paused, at the pace of dom0's.
        """
        end = self._started + result.wall_seconds
        stood = [one.held for one in self._pauses if one.host_began <= end]
        paused = sum(held.paused_seconds[name] for held in stood)
        stopped = sum(held.stopped_seconds for held in stood)
        return replace(
            result,
            guest_seconds=round(result.guest_seconds - paused, 2),
            wall_seconds=round(result.wall_seconds - paused - stopped, 2),
        )

    def result(self, deadline: Deadline) -> OracleFile | None:
        """What was seen; None, and ``missing`` says why, where that cannot be told.

        Call it when the workload has ended.
        """
        if self._failure is not None:
            raise self._failure
        if self._seen is None:
            return None
        try:
            return self._worked_out(self._seen, deadline.within(_FETCH_SECONDS))
        except TestbedError as error:
            self.missing = str(error)
            return None

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:  # it must not end in silence with its thread
            self._failure = error

    def _run(self) -> None:
        moment = Moment(self.wanted.at_seconds)
        before = self._collector.latest
        while not (moment.over or self._stop.wait(_POLL_SECONDS)):
            mark = self._collector.latest
            if mark is None or mark is before:
                continue
            before = mark
            if moment.has_come(mark):
                self._look(moment)
                before = self._collector.latest

    def _look(self, moment: Moment) -> None:
        self.log("the oracle looks: the domUs stand still")
        began = time.monotonic()
        self._seen = None  # its copies are overwritten
        with self._asking, self._collector.standing_still():
            self._collector.note(LOOK_BEGAN)
            try:
                held = self.stillness.hold(self.deadline, memory=self.wanted.resident)
            except TestbedError as error:
                self.missing = f"{error}; the domUs' times may include what was tried"
                moment.over = True
                return
            finally:
                self._collector.note(LOOK_ENDED)
        assert moment.began is not None
        self._pauses.append(_Pause(began, held))
        self._seen = _Seen(held, held.dom0_seconds - moment.began)
        self.missing = None
        self.log(f"the domUs go on after {max(held.paused_seconds.values()):.1f} s of their time")

    def _worked_out(self, seen: _Seen, deadline: Deadline) -> OracleFile:
        held = seen.held
        domains = self.stillness.domains
        copies = self.stillness.fetch(deadline)
        store = read_regions(copies, {one.name: one.domid for one in domains})
        names = [one.name for one in domains]
        look = look_at(store, held.disks, names, self.compressor)
        memory = None
        if self.wanted.resident:
            found = look_at_memory(held.memory, look.digests)
            memory = OracleMemory(
                pages=found.pages,
                exact=found.exact,
                pointers=found.pointers,
                equal_to_swapped=found.equal_to_swapped,
            )
        table = held.stats["table"]
        return OracleFile(
            variant=self.variant,
            dom0_seconds=held.dom0_seconds,
            seconds=seen.seconds,
            chosen="peak" if self.wanted.at_seconds is None else "at_seconds",
            looks=len(self._pauses),
            stopped_seconds=sum(one.held.stopped_seconds for one in self._pauses),
            compressor=self.compressor,
            lost_pages=store.lost,
            table=OracleTable(entries=table["entries"], payload_bytes=table["payload_bytes"]),
            forms=table["forms"],
            counted=OracleTable(entries=len(store.entries), payload_bytes=store.kept_bytes),
            domains=[self._domain(one, held) for one in domains],
            pages=OraclePages(
                domain=look.domain,
                on_disk=[1 if disk else 0 for disk in look.on_disk],
                length=look.length,
                exact=look.exact,
                pointers=look.pointers,
            ),
            memory=memory,
        )

    def _domain(self, domain: DomainHandle, held: Held) -> OracleDomain:
        mark = held.marks.get(domain.name)
        figures = held.stats["domains"].get(domain.name)
        if figures is None:
            raise InfrastructureError(f"{domain.name} was not connected to the store")
        return OracleDomain(
            name=domain.name,
            memory_bytes=domain.description.memory_mib << 20,
            paused_seconds=sum(one.held.paused_seconds[domain.name] for one in self._pauses),
            references=figures["references"],
            charged_bytes=figures["charged_bytes"],
            mark_held_pages=mark["held_pages"] if mark else None,
            mark_same_filled_pages=mark["same_filled_pages"] if mark else None,
            mark_swap_slots_used=mark["swap_slots_used"] if mark else None,
        )


@contextmanager
def oracle_look(
    setting: Setting, machine: Machine, domains: Sequence[DomainHandle], deadline: Deadline
) -> Iterator[OracleLook | None]:
    """A variant's look, with a folder on the host for its copies; None where none is wanted."""
    if setting.oracle is None:
        yield None
        return
    with TemporaryDirectory(prefix="testbed-oracle-") as folder:
        yield OracleLook(
            wanted=setting.oracle,
            variant=setting.variant.name,
            compressor=setting.variant.compressor,
            stillness=Stillness(machine, domains, Path(folder)),
            deadline=deadline,
            log=setting.progress.log,
        )
