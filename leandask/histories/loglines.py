"""The last lines of a scheduler's log, kept as text."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from distributed.utils import DequeHandler

from leandask import _compat
from leandask.histories.history import Held, History
from leandask.histories.names import Limit, weigh

if TYPE_CHECKING:
    from distributed import Scheduler

#: Characters kept of a log line. One that names 10,000 lost keys has 400 kB.
LINE_LENGTH = 8192


class LogLine(NamedTuple):
    """What is kept of a LogRecord: its text, and no arguments or frames.

    It takes 425 bytes for a line of 110 characters, a LogRecord with one argument 643.
    """

    #: The line as the handler's formatter made it: its message, what is around it, and
    #: the traceback and the stack below it.
    before: str
    message: str
    after: str
    below: str
    #: As in the LogRecord.
    name: str
    levelno: int
    pathname: str
    lineno: int
    funcName: str | None
    created: float
    thread: int | None
    threadName: str | None

    @classmethod
    def of(cls, record: logging.LogRecord, text: str) -> LogLine:
        """Keep a LogRecord whose text is this."""
        parts: list[Any] = []
        left = LINE_LENGTH
        for part in _parts(text, record):
            parts.append(_shortened(part, left))
            left = max(left - len(part), 0)
        return cls._make(parts + [getattr(record, name) for name in cls._fields[4:]])


class LineRecord(logging.LogRecord):
    """A log line as a LogRecord: its message has no arguments any more.

    It is made when the line is read.
    """

    #: The line as the handler's formatter made it.
    text: str

    def __init__(self, line: LogLine) -> None:
        super().__init__(
            line.name,
            line.levelno,
            line.pathname,
            line.lineno,
            line.message,
            (),
            None,
            line.funcName,
        )
        milliseconds = (line.created - self.created) * 1000
        self.relativeCreated += milliseconds
        self.created = line.created
        self.msecs = int(line.created % 1 * 1000) + 0.0
        self.thread, self.threadName = line.thread, line.threadName
        self.exc_text = line.below or None
        self.text = "".join(line[:4])

    def __reduce__(self) -> Any:
        # A client that fetches it needs no leandask.
        return logging.makeLogRecord, (vars(self),)


class LineRecords(Sequence[logging.LogRecord]):
    """Log lines that read as upstream's deque of LogRecords."""

    def __init__(self, lines: deque[LogLine]) -> None:
        self.lines = lines

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}>"

    def __reduce__(self) -> Any:
        return deque, (list(self), self.maxlen)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [LineRecord(line) for line in [*self.lines][index]]
        return LineRecord(self.lines[index])

    @property
    def maxlen(self) -> int | None:
        """Lines kept."""
        return self.lines.maxlen

    def clear(self) -> None:
        """Forget all lines."""
        self.lines.clear()


class Lines(History[LogLine]):
    """The last log lines."""

    def weigh(self, item: LogLine) -> int:
        """Bytes of a long text."""
        return sum(map(weigh, item[:4]))


class LogLines(DequeHandler):
    """Keeps log lines as text, without the args and frames of their LogRecords.

    Parameters
    ----------
    old : DequeHandler
        Its formatter, its level and its LogRecords, as lines, move over.
    maxlen : int or None
        Lines kept.
    limit : Limit or None, optional
        Bytes kept.
    """

    #: What readers of a `DequeHandler` read.
    deque: Any

    def __init__(
        self, old: DequeHandler, maxlen: int | None, limit: Limit | None = None
    ) -> None:
        super().__init__(level=old.level, n=maxlen)
        self.setFormatter(old.formatter)
        self.lines = Lines((), maxlen, limit)
        self.deque = LineRecords(self.lines)
        for record in old.deque:
            self.emit(record)

    @property
    def seen(self) -> int:
        """Lines ever logged."""
        return self.lines.seen

    def resize(self, maxlen: int | None, limit: Limit | None = None) -> None:
        """Set another number of lines, and of bytes, to keep."""
        with self.lock or nullcontext():  # other threads log
            self.lines = self.deque.lines = Lines(self.lines, maxlen, limit)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a LogRecord's line."""
        try:
            line = LogLine.of(record, super().format(record))
        except Exception:
            self.handleError(record)
            return
        self.lines.append(line)

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a line, kept or new."""
        if isinstance(record, LineRecord):
            return record.text
        return super().format(record)


def install(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Replace the handler behind a scheduler's ``get_logs``; None is unbounded."""
    old = _compat.get_log_handler(scheduler)
    lines = LogLines(old, maxlen, limit)
    scheduler_logger = logging.getLogger("distributed.scheduler")
    scheduler_logger.addHandler(lines)
    scheduler_logger.removeHandler(old)
    old.deque.clear()  # upstream keeps the handler as long as the scheduler
    _compat.set_log_handler(scheduler, lines)
    weakref.finalize(scheduler, scheduler_logger.removeHandler, lines)


def log_lines_of(scheduler: Scheduler) -> LogLines:
    """The log lines of a lean scheduler."""
    return cast(LogLines, _compat.get_log_handler(scheduler))


def resize(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Set another number of lines, and of bytes, to keep."""
    log_lines_of(scheduler).resize(maxlen, limit)


def look(scheduler: Scheduler) -> Held:
    """Count the lines."""
    lines = log_lines_of(scheduler).lines
    return Held(len(lines), lines.seen, weight=lines.weight)


def _parts(text: str, record: logging.LogRecord) -> tuple[str, str, str, str]:
    """Split a line into its message, what is around it, and what is below it."""
    below = "\n".join(filter(None, (record.exc_text, record.stack_info)))
    end = len(text) - len(below) if text.endswith(below) else len(text)
    message = record.getMessage()
    begin = text.rfind(message, 0, end)
    if begin < 0:  # a format without the message
        return "", text[:end], "", text[end:]
    after = begin + len(message)
    return text[:begin], message, text[after:end], text[end:]


def _shortened(text: str, length: int) -> str:
    n_beyond = len(text) - length
    return f"{text[:length]}… {n_beyond} characters more" if n_beyond > 0 else text
