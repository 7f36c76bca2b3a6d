"""The last lines of a scheduler's log, kept as text."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

from distributed.utils import DequeHandler

from leandask import _compat
from leandask.histories.history import Held

if TYPE_CHECKING:
    from distributed import Scheduler

#: Characters kept of a log line. One that names 10,000 lost keys has 400 kB.
LINE_LENGTH = 8192


class LogLine(NamedTuple):
    """What is kept of a LogRecord."""

    #: Seconds since the epoch.
    created: float
    levelname: str
    #: The line as the handler's formatter made it.
    text: str


class LogLines(DequeHandler):
    """Keeps log lines as text, without the args and frames of their LogRecords.

    Parameters
    ----------
    old : DequeHandler
        Its formatter, its level and its LogRecords, as lines, move over.
    maxlen : int or None
        Lines kept.
    """

    def __init__(self, old: DequeHandler, maxlen: int | None) -> None:
        super().__init__(level=old.level, n=maxlen)
        self.setFormatter(old.formatter)
        #: Lines ever logged.
        self.seen = 0
        for record in old.deque:
            self.emit(record)

    def resize(self, maxlen: int | None) -> None:
        """Set another number of lines to keep."""
        self.deque = deque(self.deque, maxlen)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a LogRecord's line."""
        try:
            text = super().format(record)
        except Exception:
            self.handleError(record)
            return
        if len(text) > LINE_LENGTH:
            text = f"{text[:LINE_LENGTH]}… {len(text) - LINE_LENGTH} characters more"
        self.seen += 1
        self.deque.append(LogLine(record.created, record.levelname, text))

    def format(self, record: logging.LogRecord | LogLine) -> str:
        """Return the text of a line, kept or new."""
        if isinstance(record, LogLine):
            return record.text
        return super().format(record)


def install(scheduler: Scheduler, maxlen: int | None) -> None:
    """Replace the handler behind a scheduler's ``get_logs``; None is unbounded."""
    old = _compat.get_log_handler(scheduler)
    lines = LogLines(old, maxlen)
    scheduler_logger = logging.getLogger("distributed.scheduler")
    scheduler_logger.addHandler(lines)
    scheduler_logger.removeHandler(old)
    old.deque.clear()  # upstream keeps the handler as long as the scheduler
    _compat.set_log_handler(scheduler, lines)
    weakref.finalize(scheduler, scheduler_logger.removeHandler, lines)


def log_lines_of(scheduler: Scheduler) -> LogLines:
    """The log lines of a lean scheduler."""
    return cast(LogLines, _compat.get_log_handler(scheduler))


def resize(scheduler: Scheduler, maxlen: int | None) -> None:
    """Set another number of lines to keep."""
    log_lines_of(scheduler).resize(maxlen)


def look(scheduler: Scheduler) -> Held:
    """Count the lines."""
    lines = log_lines_of(scheduler)
    return Held(len(lines.deque), lines.seen)
