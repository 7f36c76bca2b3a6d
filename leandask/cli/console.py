"""Console: the handler that shows the log of leandask-scheduler on stderr."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any

from leandask.records.loggers import handlers_of, text_format
from leandask.records.schema import EVENT

#: Actions that upstream publishes twice: under the topic of the worker or client
#: itself, and then under ``all``, with its name in the msg.
PUBLISHED_TWICE = frozenset({"add-worker", "remove-worker", "restart-workers"})


def json_format() -> logging.Formatter:
    """Return a formatter of lines of JSON."""
    from leandask.eventlog.formatter import JSONFormatter  # text needs none of it

    return JSONFormatter()


class Console(logging.StreamHandler):
    """Writes the lines and records of leandask to stderr, each of them once.

    A line that another handler writes to stdout or stderr is left to that handler.

    As text, an event that was published under several topics is one line. As JSON each
    record is a line, as a gap in their numbers (``seq``) would mean a loss.
    """

    def __init__(self, json: bool = False) -> None:
        super().__init__()  # to stderr
        self.setLevel(logging.INFO)  # transitions are for the event log
        self.setFormatter(json_format() if json else text_format())
        self.json = json
        #: Level, time and payload of the last event: the same under another topic. The
        #: payload has half of ``leandask.stream.record-bytes`` at most.
        self._last: tuple[int, float, str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a LogRecord, unless it is shown already."""
        if not self._is_shown_by_another(record) and (
            self.json or not self._is_repeated(record)
        ):
            super().emit(record)

    def _is_shown_by_another(self, record: logging.LogRecord) -> bool:
        for handler in handlers_of(logging.getLogger(record.name)):
            if (
                handler is not self
                and record.levelno >= handler.level
                and writes_to_console(handler)
                and handler.filter(record)
            ):
                if self.json:  # also a handler that a preload has added
                    handler.setFormatter(self.formatter)
                return True
        return False

    def _is_repeated(self, record: Any) -> bool:
        """Whether a record is one of several of the same event, which has its line."""
        if record.__dict__.get("event_name") != EVENT:
            return False
        if record.action in PUBLISHED_TWICE and record.topic in (
            record.worker,
            record.client,
        ):
            return True
        last = self._last
        self._last = record.levelno, record.created, record.payload
        return last == self._last


def writes_to_console(handler: logging.Handler) -> bool:
    """Whether a handler writes to where stdout or stderr of this process go."""
    # The second is the handler of rich.
    stream = getattr(handler, "stream", None) or getattr(
        getattr(handler, "console", None), "file", None
    )
    if stream is None:
        return False
    if stream in (sys.stdout, sys.stderr):
        return True
    with suppress(OSError, ValueError, AttributeError, TypeError):
        found = os.fstat(stream.fileno())  # a file such as /dev/stdout
        return any(os.path.samestat(found, os.fstat(fd)) for fd in (1, 2))
    return False
