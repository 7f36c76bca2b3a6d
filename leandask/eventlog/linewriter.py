"""LineWriter: writes the lines of a buffer to a file, and tries again what fails."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from leandask._throttle import Throttle
from leandask.eventlog.linebuffer import FRAME_BYTES, WRITE_BYTES, LineBuffer

logger = logging.getLogger("leandask")


class LinesFile(Protocol):
    """What lines are written to. Callers hold :attr:`lock`, but for :meth:`recheck`."""

    lock: threading.Lock
    #: Why something else than a write failed; the writer reports and clears it.
    problem: str
    #: What is to be told once; the writer reports and clears it.
    remarks: list[str]

    @property
    def path(self) -> Path:
        """Where it is, for messages."""

    @property
    def is_compressed(self) -> bool:
        """Whether lines are compressed as they are written."""

    def recheck(self) -> None:
        """Have the next write check whether the file is still there."""

    def open(self) -> int:
        """Open the file."""

    def write(self, lines: bytearray) -> None:
        """Append all lines, or raise an OSError."""

    def close(self) -> None:
        """Close the file; the next write opens it again."""

    def after_fork(self) -> None:
        """In a child process: leave the file to the parent process."""


class Notice(NamedTuple):
    """A message for the logger ``leandask``: the outcome of a write."""

    level: int
    text: str
    arguments: tuple[Any, ...]


class Retry:
    """Waits after each failure, twice as long as after the one before.

    Examples
    --------
    >>> retry = Retry(1, 60)
    >>> retry.fail(), retry.fail(), retry.is_due
    (1, 2, False)
    >>> retry.succeed(), retry.is_due
    (True, True)
    """

    #: Seconds to wait after the first failure, and at most.
    first: float
    longest: float
    #: Whether the last try failed.
    failing: bool

    def __init__(self, first: float, longest: float) -> None:
        self.first = first
        self.longest = longest
        self.failing = False
        self._wait = first
        self._at = 0.0  # time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the next try may be made."""
        return time.monotonic() >= self._at

    def allow(self) -> None:
        """Allow the next try at once."""
        self._at = 0.0

    def fail(self) -> float:
        """Note a failure, and return the seconds until the next try."""
        self.failing = True
        wait = self._wait
        self._at = time.monotonic() + wait
        self._wait = min(2 * wait, self.longest)
        return wait

    def succeed(self) -> bool:
        """Note a success, and return whether the try before had failed."""
        failed, self.failing = self.failing, False
        self._wait = self.first
        self.allow()
        return failed


class LineWriter:
    """Writes the lines of a buffer to a file, and tries again what fails.

    Several threads may use it. What fails is reported on the logger ``leandask``.

    Parameters
    ----------
    file : LinesFile
        A :class:`RotatingFile` is shared by all writers with its path.
    flush_interval : float
        Longest time in seconds that a line should wait.
    retry : Retry
    close_timeout, report_interval : float
        As for :class:`leandask.RotatingFileSink`.
    """

    #: Bytes and lines that were written, before they are compressed.
    bytes_written: int
    lines_written: int
    #: Writes that failed.
    errors: int

    def __init__(
        self,
        file: LinesFile,
        flush_interval: float,
        retry: Retry,
        close_timeout: float,
        report_interval: float,
    ) -> None:
        self.file = file
        #: The lines that are not written yet. It has its own lock, as
        #: ``logging.shutdown``, and so ``dictConfig``, holds the handler's lock while
        #: it waits for a write.
        self.buffer = LineBuffer(
            flush_interval, FRAME_BYTES if file.is_compressed else WRITE_BYTES
        )
        self.retry = retry
        self.close_timeout = close_timeout
        self.bytes_written = self.lines_written = self.errors = 0
        self._reopen = False
        self._reporting = Throttle(report_interval)

    @property
    def lines_lost(self) -> int:
        """Lines that were lost, as the file could not be written for too long."""
        return self.buffer.lines_lost

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self.retry.failing

    def open(self) -> None:
        """Open the file now, and report who else may read or write it.

        Raises
        ------
        OSError
            If it can't be opened. A later line tries again.
        """
        if self.file.lock.acquire(timeout=self.close_timeout):
            try:
                self.file.open()
                notices = self._remarks()
            finally:
                self.file.lock.release()
            self._report(notices)

    def flush(self) -> None:
        """Write the lines that wait, unless the file has just failed; never raises."""
        self.file.recheck()
        self._flush(self.close_timeout)

    def flush_if_full(self) -> None:
        """Write the lines if they are worth a write; never raises."""
        if self.buffer.is_due:
            self._flush()

    def flush_if_due(self) -> None:
        """Write the lines if one has waited for the flush interval; never raises."""
        if time.monotonic() >= self.buffer.deadline:
            self._flush()

    def reopen(self) -> None:
        """Open the file again with the next line; safe in a signal handler."""
        self._reopen = True

    def finish(self) -> None:
        """Write the lines that wait, with a last try, and close the file."""
        self.retry.allow()
        # Twice, as a report of the first one may come back to this sink as a line.
        timeout = self.close_timeout
        is_closed = self._flush(timeout) and self._flush(timeout, close=True)
        self._give_up("is closed" if is_closed else "hangs in a write")

    def _flush(self, timeout: float = 0.0, close: bool = False) -> bool:
        """Write the lines that wait; return False if another thread is writing.

        Only the file's lock is held meanwhile, so that no caller of logging waits for
        the file. No lock is held for the reports: the handlers that they reach may wait
        for a thread that waits for the file.
        """
        if not self.file.lock.acquire(timeout=timeout):
            return False
        try:
            notices = self._write()
            if close:
                self.file.close()
        finally:
            self.file.lock.release()
        self._report(notices)
        return True

    def _write(self) -> list[Notice]:
        """Write the lines that wait; return what is to be reported."""
        self.buffer.is_due = False
        if not self.buffer or not self.retry.is_due:
            return []
        if self._reopen:
            self._reopen = False
            self.file.close()
        lines = self.buffer.take()
        size = len(lines)
        try:
            self.file.write(lines)
        except Exception as e:
            self.bytes_written += size - len(lines)  # a pipe may have taken some
            self.buffer.put_back()
            return [*self._remarks(), self._note_failure(e)]
        self.bytes_written += len(lines)
        self.lines_written += self.buffer.confirm()
        notices = self._remarks()
        if self.retry.succeed():
            text = "The file %s can be written again"
            notices.append(Notice(logging.WARNING, text, (self.file.path,)))
        if self.file.problem and self._reporting.acquire():
            notices.append(Notice(logging.ERROR, "%s", (self.file.problem,)))
            self.file.problem = ""
        return notices

    def _report(self, notices: list[Notice]) -> None:
        for level, text, arguments in notices:
            logger.log(level, text, *arguments)

    def _remarks(self) -> list[Notice]:
        """Return what is to be told of the file once."""
        remarks, self.file.remarks = self.file.remarks, []
        return [Notice(logging.WARNING, "%s", (remark,)) for remark in remarks]

    def _note_failure(self, error: Exception) -> Notice:
        self.errors += 1
        self.file.close()
        wait = self.retry.fail()
        text = "Can't write %s: %s. %s lines wait, %s are lost; next try in %.0f s"
        waiting, lost = self.buffer.lines, self.lines_lost
        arguments = self.file.path, error, waiting, lost, wait
        return Notice(logging.ERROR, text, arguments)

    def _give_up(self, reason: str) -> None:
        if lines := self.buffer.give_up():
            logger.error("%r %s; %s lines are lost", self, reason, lines)

    def after_fork(self) -> None:
        """In a child process: leave the lines and the file to the parent process."""
        self.buffer.after_fork()
        self.file.after_fork()
