"""Drain: the thread that makes the records and hands them to logging."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import dropwhile
from traceback import walk_tb
from typing import Any, NamedTuple

from leandask._throttle import Throttle
from leandask.records.factory import RecordFactory
from leandask.records.loggers import (
    EVENTS,
    LAST_RESORT,
    TRANSITIONS,
    handlers_of,
    record_sinks,
)
from leandask.records.recordqueue import RecordQueue
from leandask.records.recordsink import RecordSink, is_record_sink, is_unmodified
from leandask.records.text import MESSAGE_LENGTH

logger = logging.getLogger("leandask")

#: Records handed to logging before the thread releases the GIL. It does not release it
#: while more than a quarter of the queue is used, as after a large graph: the event
#: loop then gets it after the interpreter's switch interval, 5 ms.
SLICE = 64
#: Records of WARNING or above that are kept for the report: 0.5 kB each, up to 1.2 kB
#: if the text is not in Latin letters.
WARNINGS = 20
#: Methods that a LogRecord passes through.
LOGGER_METHODS = ("handle", "filter", "callHandlers")
NULL_HANDLER_METHODS = ("handle",)


class LastWarning(NamedTuple):
    """What is kept of a record of WARNING or above."""

    timestamp: str
    severity: str
    message: str


class Drain:
    """Empties a queue, in a thread that starts with :meth:`start`.

    An exception of a handler or filter is counted and reported; the thread lives on.
    """

    #: Records handed to logging, and exceptions.
    written: int
    errors: int
    #: Times that an exception would have ended the thread.
    restarts: int
    #: Times that the queue was emptied.
    turns: int
    #: The number (``seq``) of the last record popped.
    last_seq: int
    #: The last records of WARNING or above, newest last.
    warnings: deque[LastWarning]
    #: Whether :meth:`start` was called.
    started: bool

    def __init__(
        self,
        queue: RecordQueue,
        factory: RecordFactory,
        report_dropped: Callable[[], Any],
        *,
        poll_intervals: tuple[float, float],
        report_interval: float,
        turn_seconds: float = 0.1,
    ) -> None:
        #: Seconds between two polls of the queue: while records come, and while not.
        self.poll_intervals = poll_intervals
        #: Longest turn in seconds, without its last slice. After each turn the thread
        #: reports losses and flushes the sinks, even if the queue is never empty.
        self.turn_seconds = turn_seconds
        self.written = self.errors = self.restarts = self.turns = self.last_seq = 0
        self.started = False
        self._last_error: BaseException | None = None
        self.warnings = deque(maxlen=WARNINGS)
        self._queue = queue
        self._factory = factory
        self._report_dropped = report_dropped
        self._thread: threading.Thread | None = None
        self._reporting = Throttle(report_interval)
        self._errors_reported = self._dropped_reported = 0
        # By id, as a handler may not be hashable.
        self._sinks: dict[int, RecordSink] = {}
        self._ignoring: dict[int, Any] = {}

    def start(self) -> None:
        """Start the thread, unless it was started; never raises."""
        if not self.started:
            thread = threading.Thread(target=self._run, name="leandask-drain")
            thread.daemon = True
            try:
                thread.start()
            except RuntimeError as e:  # no more threads, or the interpreter exits
                self._count(e)
                return
            self._thread = thread
            self.started = True

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait up to some seconds until the thread has emptied a closed queue."""
        # The garbage collector may close a stream in the thread itself.
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            try:
                self._work()
                return
            except BaseException as e:  # SystemExit of a handler, most likely
                self.restarts += 1
                self._count(e)

    def _work(self) -> None:
        busy, is_empty = False, True
        while True:
            if is_empty:
                self._queue.wake.wait(self.poll_intervals[0 if busy else 1])
            self._queue.wake.clear()
            closed = self._queue.closed
            busy = len(self._queue) > 0
            is_empty = self._empty()
            self.turns += is_empty
            is_last = closed and is_empty
            for sink in record_sinks():
                try:
                    sink.flush() if is_last else sink.flush_if_due()
                except Exception as e:  # go on with the other sinks
                    self._count(e)
            self._report()
            if closed and not self._queue:
                return

    def _empty(self) -> bool:
        """Empty the queue, for one turn at most; return whether it is empty."""
        log_record = self._factory.log_record
        end = time.monotonic() + self.turn_seconds
        if self._queue:
            self._classify_handlers()
        while waiting := self._queue.pop(SLICE):
            last_target = last_level = None  # the configuration may have changed
            for seq, _, (_, make, target), source in waiting:
                try:
                    record = make(seq, source)
                    level, _, fields = record
                    if level >= logging.WARNING:
                        self._note_warning(fields)
                    if level != last_level or target is not last_target:
                        sink = self._only_sink(target, level)
                        last_target, last_level = target, level
                    if sink is None:
                        self._handle(target, log_record(record))
                    else:
                        sink.write_fields(fields, level)
                    self.written += 1
                except BaseException as e:  # go on with the rest of the slice
                    self._count(e)
            self.last_seq = waiting[-1][0]
            if not self._queue.is_quarter_full:
                time.sleep(0)  # the event loop gets the GIL
            if time.monotonic() >= end:
                return False
        return True

    def _handle(self, target: logging.Logger, record: logging.LogRecord) -> None:
        """Have all handlers of a logger handle a LogRecord, even if one raises."""
        try:
            target.handle(record)
        except BaseException as e:
            for handler in _after_raising(e, target):
                if record.levelno >= handler.level:
                    try:
                        handler.handle(record)
                    except BaseException as another:
                        self._count(another)
            raise

    def _classify_handlers(self) -> None:
        """Note which handlers are unmodified sinks, and which ignore our records.

        Once per turn, as it is slow. A handler that is added during a turn gets
        LogRecords.
        """
        self._sinks = {}
        self._ignoring = {id(LAST_RESORT): LAST_RESORT}  # it shows no records
        loggers = EVENTS, TRANSITIONS
        if not all([is_unmodified(logger, LOGGER_METHODS) for logger in loggers]):
            return
        for logger in loggers:
            for handler in handlers_of(logger):
                if isinstance(handler, logging.NullHandler):
                    if is_unmodified(handler, NULL_HANDLER_METHODS):
                        self._ignoring[id(handler)] = handler
                elif is_record_sink(handler) and handler.is_unmodified():
                    refused = handler.refuses(self._factory.scheduler_id)
                    known = self._ignoring if refused else self._sinks
                    known[id(handler)] = handler

    def _only_sink(self, target: logging.Logger, level: int) -> RecordSink | None:
        """Return the sink that can take the fields of a record, or None.

        It is the only handler of the record, and no code of the user's would see a
        LogRecord. This is the common case, an event log alone, and three times as fast.
        """
        if target.disabled or target.filters:
            return None
        takers = [
            id(handler)
            for handler in handlers_of(target)
            if level >= handler.level and id(handler) not in self._ignoring
        ]
        sink = self._sinks.get(takers[0]) if len(takers) == 1 else None
        return sink if sink is not None and sink.takes_fields() else None

    def _note_warning(self, fields: dict[str, Any]) -> None:
        message = fields["message"][:MESSAGE_LENGTH]
        warning = LastWarning(fields["timestamp"], fields["severity"], message)
        self.warnings.append(warning)

    def _count(self, error: BaseException) -> None:
        self.errors += 1
        # A traceback would keep alive all that its frames hold.
        self._last_error = error.with_traceback(None)

    def _report(self) -> None:
        """Report losses, at most once per report interval."""
        dropped = self._queue.n_dropped
        if (self.errors, dropped) == (self._errors_reported, self._dropped_reported):
            return
        if not self._reporting.acquire():
            return
        try:
            if dropped != self._dropped_reported:
                self._dropped_reported = dropped
                self._report_dropped()
            if self.errors != self._errors_reported:
                self._errors_reported = self.errors
                logger.warning(
                    "%s records failed on their way to logging, the last with %r",
                    self.errors,
                    self._last_error,
                )
        except Exception as e:  # the event loop is closed, or a handler raises again
            self._count(e)


def _after_raising(
    error: BaseException, target: logging.Logger
) -> list[logging.Handler]:
    """Return the handlers of a logger after the one that raised an error."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    called = {id(frame.f_locals.get("self")) for frame in frames}
    return list(dropwhile(lambda h: id(h) not in called, handlers_of(target)))[1:]
