"""RotatingFileSink: LogRecords as lines of a file, buffered and rotated by size."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from leandask._fork import leave_to_parent
from leandask._throttle import Throttle
from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.linebuffer import Backlog
from leandask.eventlog.rotatingfile import RotatingFile
from leandask.records.recordsink import Methods
from leandask.settings import config

logger = logging.getLogger("leandask")

#: Seconds between two tries to write a file that can't be written: first, and longest.
RETRY_SECONDS = (1.0, 60.0)
#: Seconds between two reports of rotated files that can't be gzipped.
TELL_SECONDS = 60.0
#: Methods that a LogRecord passes through and that ``write_fields`` leaves out.
SINK_METHODS = Methods(
    "handle", "filter", "acquire", "release", "emit", "format", "handleError"
)
FORMATTER_METHODS = Methods("format", "encode", "fields")
#: Seconds that closing waits for a write that hangs in another thread.
HANG_SECONDS = 1.0


class RotatingFileSink(logging.Handler):
    """Appends each LogRecord to a file as one line.

    Lines are gathered and written together: when 64 KiB wait, after `flush_interval`,
    at WARNING and above, and when the sink is closed. Only its owner can read the file
    (mode 0600). A file that was moved away is opened anew.

    A file that can't be written is no error to the caller: lines wait, up to 4 MiB, and
    the sink tries again, ever more rarely. What doesn't fit is counted as lost. Both
    are reported on the logger ``leandask``. A line that was written in part is taken
    back, so that the file always holds whole lines.

    Parameters
    ----------
    filename : str or os.PathLike
        File to append to. Its folder is made where there is none.
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
        Whether rotated files are gzipped, as ``filename.1.gz``, by a thread of their
        own. Default: ``leandask.event-log.compress``.

    Raises
    ------
    TypeError, ValueError
        If a parameter is no such value.

    Notes
    -----
    The interval is kept by whoever calls :meth:`flush_if_due`: the stream of a
    scheduler does. Elsewhere a line waits for the next one.

    See Also
    --------
    logging.handlers.RotatingFileHandler : writes each record by itself.
    """

    #: Lines handed to the operating system, in bytes, and how many they were.
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
    ) -> None:
        super().__init__()
        #: Where the lines are written: all sinks of one file share it.
        self.file = RotatingFile.at(
            Path(os.path.abspath(os.fspath(filename))),
            config.read("event-log.max-bytes", max_bytes),
            config.read("event-log.backups", backups),
            config.read("event-log.compress", compress),
        )
        #: The lines that are not written yet. Their lock is not the handler's, which
        #: ``logging.shutdown``, and so ``dictConfig``, holds as it waits for a write.
        self.backlog = Backlog(config.read("event-log.flush-interval", flush_interval))
        self.setFormatter(JSONFormatter())
        self.bytes_written = self.lines_written = self.errors = 0
        self.failing = False
        self._retry_at = 0.0  # time.monotonic() before which nothing is tried
        self._retry_after = RETRY_SECONDS[0]
        self._reopen = False
        self._telling = Throttle(TELL_SECONDS)
        leave_to_parent(self)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {str(self.file.path)!r}: "
            f"{self.lines_written} lines, {len(self.backlog)} bytes wait>"
        )

    @property
    def lines_lost(self) -> int:
        """Lines that were lost, as the file could not be written for too long."""
        return self.backlog.lines_lost

    def emit(self, record: logging.LogRecord) -> None:
        """Take a LogRecord; never raises."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
            self.backlog.add(line, record.levelno)
        except Exception:
            self.handleError(record)

    def refuses(self, scheduler_id: str) -> bool:
        """Whether :meth:`handle` takes no record of a scheduler."""
        return False

    def is_unmodified(self) -> bool:
        """Whether no code of a user's is called by :meth:`handle`, filters apart."""
        return SINK_METHODS.are_unmodified(self) and (
            type(self.formatter) is not JSONFormatter
            or FORMATTER_METHODS.are_unmodified(self.formatter)
        )

    def takes_fields(self) -> bool:
        """Whether :meth:`write_fields` writes what :meth:`handle` would write."""
        return type(self.formatter) is JSONFormatter and not self.filters

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a LogRecord, if no filter refuses it; never raises."""
        taken = super().handle(record)
        if self.backlog.is_due:
            self._flush()
        return bool(taken)

    def write_fields(self, fields: dict[str, Any], level: int) -> None:
        """Take the fields of a record without the detour of a LogRecord."""
        line = self.formatter.encode_fields(fields)  # type: ignore[union-attr]
        self.backlog.add(line, level)
        if self.backlog.is_due:
            self._flush()

    def flush(self) -> None:
        """Write what waits, unless the file failed a moment ago; never raises."""
        self.file.look()
        self._flush(HANG_SECONDS)

    def flush_if_due(self) -> None:
        """Write what has waited for the flush interval; never raises."""
        if time.monotonic() >= self.backlog.deadline:
            self._flush()

    def reopen(self) -> None:
        """Open the file anew with the next line; safe in a signal handler."""
        self._reopen = True

    def close(self) -> None:
        """Write what waits, with one last try, and close the file.

        A line that comes later opens it anew, as it does for a ``FileHandler``.
        """
        self._retry_at = 0.0
        # Twice, as what the first one has to tell may come back here as a line.
        if self._flush(HANG_SECONDS) and self._flush(HANG_SECONDS, close=True):
            self._lose("is closed")
        else:
            self._lose("hangs in a write")
        super().close()

    def _flush(self, timeout: float = 0.0, close: bool = False) -> bool:
        """Write what waits, unless another thread does, or hangs in it.

        Only the file's lock is held meanwhile: who logs a line does not wait. None is
        held for what is then told: who waits for the file may have logging's locks.
        """
        if not self.file.lock.acquire(timeout=timeout):
            return False
        try:
            news = self._write()
            if close:
                self.file.close()
        finally:
            self.file.lock.release()
        for level, text, *arguments in news:
            logger.log(level, text, *arguments)
        return True

    def _write(self) -> list[tuple[Any, ...]]:
        """Write what waits; return what there is to tell, as arguments of ``log``."""
        self.backlog.is_due = False
        if not self.backlog or time.monotonic() < self._retry_at:
            return []
        if self._reopen:
            self._reopen = False
            self.file.close()
        lines = self.backlog.take()
        try:
            self.file.write(lines)
        except Exception as e:
            self.backlog.put_back()
            return [self._failed(e)]
        self.bytes_written += len(lines)
        self.lines_written += self.backlog.done()
        news: list[tuple[Any, ...]] = []
        if self.failing:
            self.failing = False
            self._retry_after = RETRY_SECONDS[0]
            text = "The file %s is written again"
            news.append((logging.WARNING, text, self.file.path))
        if self.file.trouble and self._telling.acquire():
            trouble, self.file.trouble = self.file.trouble, ""
            news.append((logging.ERROR, "%s", trouble))
        return news

    def _lose(self, why: str) -> None:
        if lines := self.backlog.lose():
            logger.error("%r %s; %s lines are lost", self, why, lines)

    def _failed(self, error: Exception) -> tuple[Any, ...]:
        self.errors += 1
        self.failing = True
        self.file.close()
        wait = self._retry_after
        self._retry_at = time.monotonic() + wait
        self._retry_after = min(2 * wait, RETRY_SECONDS[1])
        text = "Can't write %s: %s. %s lines wait, %s are lost; next try in %.0f s"
        waiting, lost = self.backlog.lines, self.lines_lost
        return logging.ERROR, text, self.file.path, error, waiting, lost, wait

    def after_fork(self) -> None:
        """In a child process: leave what waits, and the file, to the parent."""
        self.backlog.after_fork()
        self.file.after_fork()
