"""Search: the search of an event log for one answer, in steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict

from leandask.reading.backward import BackwardScan

if TYPE_CHECKING:
    from leandask.eventlog.eventlog import EventLog
    from leandask.serving.history.question import Question


class Answer(TypedDict):
    """The answer to one question."""

    #: Lines of the log, the newest first.
    lines: bytes
    #: Why older records may be missing: "limit", "bytes" or "seconds"; else None.
    truncated: str | None
    #: Time of the oldest record that was read; None if none was.
    reached: str | None
    #: Lines that can't be read, and records dropped since the scheduler started.
    broken: int
    dropped: int
    #: Files that can't be read to their end, each with the reason.
    left_out: list[str]


class Search:
    """The search for one answer, in steps: one thread at a time calls :meth:`run`."""

    def __init__(
        self, question: Question, event_log: EventLog, max_bytes: int, deadline: float
    ) -> None:
        self._question = question
        self._event_log = event_log
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._scan: BackwardScan | None = None
        self._slices: Iterator[list[bytes]] = iter(())
        self._lines = bytearray()
        self._is_full = False

    def run(self, seconds: float, pause: float) -> BackwardScan | None:
        """Go on for some seconds; return the scan once it has ended.

        It sleeps for `pause` after each slice of lines, so that the event loop gets the
        interpreter.
        """
        until = time.monotonic() + seconds
        if self._scan is None:
            self._event_log.flush()
            self._scan = BackwardScan(
                self._event_log.file.path,
                self._question.filter(self._event_log),
                self._question.limit,
                kept_bytes=self._max_bytes,
                deadline=self._deadline,
            )
            self._slices = self._scan.slices()
        try:
            for found in self._slices:
                for line in found:
                    self._lines += line + b"\n"
                if self._is_full or len(self._lines) > self._max_bytes:
                    self._is_full = True
                    break
                if time.monotonic() >= until:
                    return None
                time.sleep(pause)
        except FileNotFoundError:  # someone removed the log
            pass
        self.close()
        return self._scan

    def answer(self, scan: BackwardScan, dropped: int) -> Answer:
        """Return the answer of a scan that has ended."""
        truncated = None
        if scan.has_more:
            truncated = "bytes" if scan.is_full else "limit"
        elif self._is_full:
            truncated = "bytes"
        elif scan.is_late:
            truncated = "seconds"
        return Answer(
            lines=bytes(self._lines),
            truncated=truncated,
            reached=scan.reached,
            broken=scan.broken,
            dropped=dropped,
            left_out=scan.left_out,
        )

    def close(self) -> None:
        """Close the files."""
        if self._scan is not None:
            self._slices.close()  # type: ignore[attr-defined]
