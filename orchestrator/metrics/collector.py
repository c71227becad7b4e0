"""A thread that samples every source a few times a second.

Reading the ring buffer empties it, so one collector reads one machine. It
outlives no variant: ``start`` and ``stop`` bracket each one, and what was
written before ``start`` is thrown away, since it belongs to other domUs.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from orchestrator.errors import InfrastructureError
from orchestrator.metrics.lines import RecordStream
from orchestrator.metrics.records import EventRecord, MarkRecord
from orchestrator.metrics.samples import Dom0Memory, Gap, GapKind, MachineMemory, Sample

__all__ = ["Collector", "StatisticsSource", "VariantSamples"]

T = TypeVar("T")

RING = "pageshare.stats"
FAILURES_IN_A_ROW = 20
JOIN_SECONDS = 30.0


class StatisticsSource(Protocol):
    """Where samples come from: the machine's QMP connection, or a test's stand-in."""

    def ringbuf_read(self, name: str) -> str:
        """What was written to the character device ``name`` since the last read."""
        ...

    def balloon_stats(self) -> Mapping[str, Any]:
        """The balloon device's ``guest-stats``."""
        ...

    def memory_summary(self) -> Mapping[str, Any]:
        """The reply of ``query-memory-size-summary``."""
        ...


@dataclass
class VariantSamples:
    """All samples of one variant, in order."""

    variant: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def marks(self) -> list[MarkRecord]:
        """All MARKs, oldest first."""
        return [mark for sample in self.samples for mark in sample.marks]

    @property
    def events(self) -> list[EventRecord]:
        """All events of the store, oldest first."""
        return [event for sample in self.samples for event in sample.events]

    @property
    def gaps(self) -> list[Gap]:
        """All gaps, oldest first."""
        return [gap for sample in self.samples for gap in sample.gaps]

    def noted(self, note: str) -> float | None:
        """Host seconds of the first sample with that note, or None."""
        return next((one.host_seconds for one in self.samples if one.note == note), None)


class Collector:
    """Samples a ``StatisticsSource`` on a thread of its own.

    Args:
        source: what is polled.
        sink: called with every sample, on the collector's thread, as soon as it
            is taken (``RunFolder.append_sample``).
        samples_per_second: polls a second.
        longest_gap_seconds: a longer silence is noted as a gap.
        ring: name of the character device that the store writes to.
        hears_store: whether there is a store, so that its silence is a gap.
    """

    def __init__(
        self,
        source: StatisticsSource,
        sink: Callable[[Sample], None],
        *,
        samples_per_second: float = 3.0,
        longest_gap_seconds: float = 2.0,
        ring: str = RING,
        hears_store: bool = True,
    ) -> None:
        self._source = source
        self._sink = sink
        self._period = 1.0 / samples_per_second
        self._longest_gap = longest_gap_seconds
        self._longest_silence = longest_gap_seconds if hears_store else math.inf
        self._ring = ring
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._still = threading.Event()
        self._thread: threading.Thread | None = None
        self._poll: _Poll | None = None
        self._failure: str | None = None

    def start(self, variant: str, after: float = 0.0) -> None:
        """Throw away what was written before, and sample from now on.

        Args:
            after: seconds that the variant's earlier samples span, where it is resumed.

        Raises:
            InfrastructureError: sampling runs already, or the first read failed.
        """
        if self._thread is not None:
            raise InfrastructureError("the collector runs already: stop it first")
        try:
            before = self._source.ringbuf_read(self._ring)
        except Exception as error:
            raise InfrastructureError(f"cannot read the store's statistics: {error}") from error
        self._stop.clear()
        self._failure = None
        self._notes = queue.SimpleQueue()
        begun = before.rpartition("\n")[2]
        limits = self._longest_gap, self._longest_silence
        self._poll = _Poll(
            self._source, self._ring, variant, limits, begun, after, still=self._still
        )
        self._thread = threading.Thread(
            target=self._run, args=(self._poll,), name="collector", daemon=True
        )
        self._thread.start()

    def note(self, note: str) -> None:
        """Mark this moment in the samples, such as ``workload-started``."""
        self._notes.put(note)

    def stop(self) -> VariantSamples:
        """Take a last sample, end the thread, and give all samples of the variant.

        Raises:
            InfrastructureError: it was not started, or its thread does not end.
        """
        thread, poll = self._thread, self._poll
        if thread is None or poll is None:
            raise InfrastructureError("the collector does not run")
        self._stop.set()
        thread.join(JOIN_SECONDS)
        if thread.is_alive():
            raise InfrastructureError(
                f"a poll of QEMU's statistics has not returned for {JOIN_SECONDS:.0f} s"
            )
        self._thread = None
        return poll.taken

    def check(self) -> None:
        """Raise if sampling has ended by itself.

        Raises:
            InfrastructureError: too many polls failed in a row; the last reason.
        """
        if self._failure is not None:
            raise InfrastructureError(f"sampling has ended: {self._failure}")

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The machine is held still on purpose inside: what does not come then is no gap."""
        self._still.set()
        try:
            yield
        finally:
            self._still.clear()

    @property
    def latest(self) -> MarkRecord | None:
        """The newest MARK of the variant, for a progress display."""
        return self._poll.latest if self._poll else None

    def _run(self, poll: _Poll) -> None:
        due = time.monotonic()
        while True:
            last = self._stop.is_set()
            try:
                self._sink(poll.take(self._next_note()))
                while not self._notes.empty():
                    self._sink(poll.take(self._next_note()))
            except Exception as error:  # a full disk, say: the run must hear of it
                self._failure = f"a sample could not be written: {error}"
                return
            if poll.failures >= FAILURES_IN_A_ROW:
                self._failure = f"{poll.failures} polls failed in a row: {poll.last_error}"
                return
            if last:
                return
            due = max(due + self._period, time.monotonic())
            self._stop.wait(due - time.monotonic())

    def _next_note(self) -> str | None:
        try:
            return self._notes.get_nowait()
        except queue.Empty:
            return None


class _Poll:
    """Takes samples of one variant and remembers what the last ones said."""

    def __init__(
        self,
        source: StatisticsSource,
        ring: str,
        variant: str,
        limits: tuple[float, float],
        begun: str = "",
        after: float = 0.0,
        *,
        still: threading.Event,
    ) -> None:
        self._still = still
        self.taken = VariantSamples(variant)
        self.latest: MarkRecord | None = None
        self.failures = 0
        self.last_error = ""
        self._source = source
        self._ring = ring
        self._longest_gap, self._longest_silence = limits
        self._stream = RecordStream(begun)
        self._began = time.monotonic()
        self._after = after
        self._last_poll = self._began
        self._last_record = self._began

    def take(self, note: str | None) -> Sample:
        now = time.monotonic()
        gaps = self._late(now)
        text = self._ask(lambda: self._source.ringbuf_read(self._ring), gaps)
        machine = self._ask(lambda: MachineMemory.of(self._source.memory_summary()), gaps)
        dom0 = self._ask(lambda: Dom0Memory.of(self._source.balloon_stats()), gaps)
        failed = any(gap.kind is GapKind.SOURCE for gap in gaps)
        self.failures = self.failures + 1 if failed else 0
        records, missing = self._stream.feed(text or "")
        gaps += missing + self._silent(now, bool(records))
        marks = [record for record in records if isinstance(record, MarkRecord)]
        self.latest = marks[-1] if marks else self.latest
        sample = Sample(
            variant=self.taken.variant,
            host_seconds=now,
            seconds=self._after + now - self._began,
            machine=machine,
            dom0=dom0,
            records=records,
            gaps=gaps,
            note=note,
        )
        self.taken.samples.append(sample)
        return sample

    def _ask(self, question: Callable[[], T], gaps: list[Gap]) -> T | None:
        try:
            return question()
        except Exception as error:
            self.last_error = f"{type(error).__name__}: {error}"
            gaps.append(Gap(kind=GapKind.SOURCE, detail=self.last_error))
            return None

    def _late(self, now: float) -> list[Gap]:
        since, self._last_poll = now - self._last_poll, now
        if self._still.is_set():
            self._last_record = now
            return []
        if since <= self._longest_gap:
            return []
        self._last_record += since  # the same hole is not also the store's silence
        return [Gap(kind=GapKind.LATE, seconds=since)]

    def _silent(self, now: float, heard: bool) -> list[Gap]:
        since = now - self._last_record
        if not heard and since <= self._longest_silence:
            return []
        self._last_record = now
        if since <= self._longest_silence:
            return []
        return [Gap(kind=GapKind.SILENT, seconds=since)]
