"""From chunks of text to records, noticing what is missing between them."""

from __future__ import annotations

from orchestrator.metrics.records import EventRecord, MarkRecord, parse_record
from orchestrator.metrics.samples import Gap, GapKind

__all__ = ["RecordStream"]

LONGEST_LINE = 64 * 1024


class RecordStream:
    """Puts lines together across reads and follows the sequence numbers.

    Args:
        begun: a line that had begun before the first chunk.
    """

    def __init__(self, begun: str = "") -> None:
        self._partial = begun
        self._expected: int | None = None

    def feed(self, chunk: str) -> tuple[list[MarkRecord | EventRecord], list[Gap]]:
        """Take what was read; give the whole records in it and the gaps between them."""
        *lines, self._partial = (self._partial + chunk).split("\n")
        records: list[MarkRecord | EventRecord] = []
        gaps: list[Gap] = []
        if len(self._partial) > LONGEST_LINE:
            gaps.append(_malformed(self._partial))
            self._partial = ""
        for line in lines:
            if not line.strip("\r\0 "):
                continue
            record = parse_record(line)
            if record is None:
                gaps.append(_malformed(line))
                continue
            gap = self._follow(record.sequence)
            if gap:
                gaps.append(gap)
            records.append(record)
        return records, gaps

    def _follow(self, sequence: int) -> Gap | None:
        expected, self._expected = self._expected, sequence + 1
        if expected is None or sequence == expected:
            return None
        if sequence < expected:
            return Gap(
                kind=GapKind.RESTARTED,
                records=sequence,
                detail=f"sequence fell from {expected} to {sequence}",
            )
        return Gap(
            kind=GapKind.LOST,
            records=sequence - expected,
            detail=f"sequence {expected} to {sequence - 1} did not arrive",
        )


def _malformed(line: str) -> Gap:
    return Gap(kind=GapKind.MALFORMED, detail=f"{len(line)} characters: {line[:60]!r}")
