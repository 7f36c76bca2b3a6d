"""LogLines: what a scheduler keeps of its log, as text."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from distributed.utils import DequeHandler

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler

#: Characters kept of a log line. One that names 10,000 lost keys takes 400 kB.
LINE_LENGTH = 8192


class LogLine(NamedTuple):
    """What is kept of a LogRecord."""

    #: Seconds since the epoch.
    created: float
    levelname: str
    #: The line as the handler's formatter made it.
    text: str


class LogLines(DequeHandler):
    """Keeps log lines as text, and not as LogRecords with their args and frames.

    Parameters
    ----------
    old : DequeHandler
        Its formatter and level are taken on, and its LogRecords as lines.
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
        """Set another number of lines to be kept."""
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


def keep_log_lines(scheduler: Scheduler, maxlen: int | None) -> None:
    """Replace the handler behind a scheduler's ``get_logs``.

    Parameters
    ----------
    scheduler : Scheduler
    maxlen : int or None
        Lines kept; None is unbounded.
    """
    old = _compat.get_log_handler(scheduler)
    lines = LogLines(old, maxlen)
    scheduler_logger = logging.getLogger("distributed.scheduler")
    scheduler_logger.addHandler(lines)
    scheduler_logger.removeHandler(old)
    old.deque.clear()  # upstream holds the handler for as long as the scheduler
    _compat.set_log_handler(scheduler, lines)
    weakref.finalize(scheduler, scheduler_logger.removeHandler, lines)
