"""RotatingFileSink: LogRecords as lines of a file, buffered and rotated by size."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from leandask._fork import leave_to_parent
from leandask._throttle import Throttle
from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.linebuffer import LineBuffer
from leandask.eventlog.rotatingfile import RotatingFile
from leandask.records.recordsink import is_unmodified
from leandask.settings import config

logger = logging.getLogger("leandask")

#: Methods that a LogRecord passes through and that ``write_fields`` skips.
SINK_METHODS = (
    *("handle", "filter", "acquire", "release"),
    *("emit", "format", "handleError"),
)
FORMATTER_METHODS = ("format", "encode", "fields")


class Notice(NamedTuple):
    """A message for the logger ``leandask``: the outcome of a write."""

    level: int
    text: str
    arguments: tuple[Any, ...]


class RotatingFileSink(logging.Handler):
    """Appends each LogRecord to a file as one line.

    Lines are buffered and written together: when 64 KiB wait, after `flush_interval`,
    at WARNING and above, and when the sink is closed. Only the owner of the process can
    read the file (mode 0600). A file that was moved away is opened again.

    A file that can't be written raises nothing: up to 4 MiB of lines wait, and the sink
    tries again, after longer and longer waits. Lines that do not fit are counted as
    lost. Both are reported on the logger ``leandask``. A line that was only written in
    part is removed, so that the file always holds whole lines.

    Parameters
    ----------
    filename : str or os.PathLike
        File to append to. A missing folder is created.
    max_bytes : int, str or None, optional
        Size at which the file is rotated to ``filename.1``; None never rotates. A file
        that can't be renamed grows beyond it: that is reported, and tried again once a
        minute. Default: ``leandask.event-log.max-bytes``.
    backups : int, optional
        Rotated files kept. Default: ``leandask.event-log.backups``.
    flush_interval : float or str, optional
        Longest time in seconds that a line waits. Default:
        ``leandask.event-log.flush-interval``.
    compress : bool, optional
        Whether rotated files are gzipped, as ``filename.1.gz``, in a thread. Default:
        ``leandask.event-log.compress``.
    retry_interval, max_retry_interval : float, optional
        Seconds until a failed write is tried again: after the first failure, and at
        most. Each further failure doubles the wait.
    close_timeout : float, optional
        Longest time in seconds that :meth:`close` and :meth:`flush` wait for a write
        that hangs in another thread.
    report_interval : float, optional
        Shortest time in seconds between two reports of files that can't be rotated or
        gzipped.

    Raises
    ------
    TypeError, ValueError
        If a parameter breaks its rule.

    Notes
    -----
    A scheduler's stream calls :meth:`flush_if_due`, which keeps the flush interval.
    Without such a caller a line waits until the next one is written.

    A subclass may override any method of :class:`logging.Handler`, and an instance may
    have another formatter and filters. Where there are none of these, and no other
    handler, the stream skips the LogRecord and calls :meth:`write_fields`.

    See Also
    --------
    logging.handlers.RotatingFileHandler : writes each record by itself.
    """

    #: Bytes and lines that were written.
    bytes_written: int
    lines_written: int
    #: Writes that failed, and whether the last one did.
    errors: int
    failing: bool

    def __init__(
        self,
        filename: str | os.PathLike[str],
        max_bytes: int | str | None = config.OMITTED,
        backups: int = config.OMITTED,
        flush_interval: float | str = config.OMITTED,
        compress: bool = config.OMITTED,
        *,
        retry_interval: float = 1.0,
        max_retry_interval: float = 60.0,
        close_timeout: float = 1.0,
        report_interval: float = 60.0,
    ) -> None:
        super().__init__()
        #: The file, which all sinks with its path share.
        self.file = RotatingFile.at(
            Path(os.path.abspath(os.fspath(filename))),
            config.read("event-log.max-bytes", max_bytes),
            config.read("event-log.backups", backups),
            config.read("event-log.compress", compress),
        )
        #: The lines that are not written yet. It has its own lock, as
        #: ``logging.shutdown``, and so ``dictConfig``, holds the handler's lock while
        #: it waits for a write.
        self.buffer = LineBuffer(
            config.read("event-log.flush-interval", flush_interval)
        )
        self.retry_interval = retry_interval
        self.max_retry_interval = max_retry_interval
        self.close_timeout = close_timeout
        self.setFormatter(JSONFormatter())
        self.bytes_written = self.lines_written = self.errors = 0
        self.failing = False
        self._retry_at = 0.0  # time.monotonic() before which nothing is written
        self._retry_after = retry_interval
        self._reopen = False
        self._reporting = Throttle(report_interval)
        leave_to_parent(self)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {str(self.file.path)!r}: "
            f"{self.lines_written} lines, {len(self.buffer)} bytes wait>"
        )

    @property
    def lines_lost(self) -> int:
        """Lines that were lost, as the file could not be written for too long."""
        return self.buffer.lines_lost

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line of a LogRecord to the buffer; never raises."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
            self.buffer.add(line, record.levelno)
        except Exception:
            self.handleError(record)

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a LogRecord, unless a filter refuses it; never raises."""
        passed = super().handle(record)
        if self.buffer.is_due:
            self._flush()
        return bool(passed)

    def refuses(self, scheduler_id: str) -> bool:
        """Whether :meth:`handle` ignores all records of a scheduler."""
        return False

    def is_unmodified(self) -> bool:
        """Whether :meth:`handle` calls no code of the user's, apart from filters."""
        return is_unmodified(self, SINK_METHODS) and (
            type(self.formatter) is not JSONFormatter
            or is_unmodified(self.formatter, FORMATTER_METHODS)
        )

    def takes_fields(self) -> bool:
        """Whether :meth:`write_fields` writes what :meth:`handle` would write."""
        return type(self.formatter) is JSONFormatter and not self.filters

    def write_fields(self, fields: dict[str, Any], level: int) -> None:
        """Write the fields of a record without making a LogRecord."""
        line = self.formatter.encode_fields(fields)  # type: ignore[union-attr]
        self.buffer.add(line, level)
        if self.buffer.is_due:
            self._flush()

    def flush(self) -> None:
        """Write the lines that wait, unless the file has just failed; never raises."""
        self.file.recheck()
        self._flush(self.close_timeout)

    def flush_if_due(self) -> None:
        """Write the lines if one has waited for the flush interval; never raises."""
        if time.monotonic() >= self.buffer.deadline:
            self._flush()

    def reopen(self) -> None:
        """Open the file again with the next line; safe in a signal handler."""
        self._reopen = True

    def close(self) -> None:
        """Write the lines that wait, with a last try, and close the file.

        A later line opens it again, as it does for a ``FileHandler``.
        """
        self._retry_at = 0.0
        # Twice, as a report of the first one may come back to this sink as a line.
        timeout = self.close_timeout
        is_closed = self._flush(timeout) and self._flush(timeout, close=True)
        self._give_up("is closed" if is_closed else "hangs in a write")
        super().close()

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
        for level, text, arguments in notices:
            logger.log(level, text, *arguments)
        return True

    def _write(self) -> list[Notice]:
        """Write the lines that wait; return what is to be reported."""
        self.buffer.is_due = False
        if not self.buffer or time.monotonic() < self._retry_at:
            return []
        if self._reopen:
            self._reopen = False
            self.file.close()
        lines = self.buffer.take()
        try:
            self.file.write(lines)
        except Exception as e:
            self.buffer.put_back()
            return [self._note_failure(e)]
        self.bytes_written += len(lines)
        self.lines_written += self.buffer.confirm()
        notices = []
        if self.failing:
            self.failing = False
            self._retry_after = self.retry_interval
            text = "The file %s can be written again"
            notices.append(Notice(logging.WARNING, text, (self.file.path,)))
        if self.file.problem and self._reporting.acquire():
            notices.append(Notice(logging.ERROR, "%s", (self.file.problem,)))
            self.file.problem = ""
        return notices

    def _note_failure(self, error: Exception) -> Notice:
        self.errors += 1
        self.failing = True
        self.file.close()
        wait = self._retry_after
        self._retry_at = time.monotonic() + wait
        self._retry_after = min(2 * wait, self.max_retry_interval)
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
