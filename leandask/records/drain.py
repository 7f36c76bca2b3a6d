"""Drain: the thread that makes the records and hands them to logging."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from leandask._throttle import Throttle
from leandask.records.factory import RecordFactory
from leandask.records.loggers import TASKS, WORKERS, handle
from leandask.records.recordqueue import RecordQueue, Waiting
from leandask.records.recordsink import Shortcut, record_sinks
from leandask.records.text import MESSAGE_LENGTH

logger = logging.getLogger("leandask")

#: Records handed to logging before the thread releases the GIL. It does not release it
#: while more than a quarter of the queue is used, as after a large graph: the event
#: loop then gets it after the interpreter's switch interval, 5 ms.
SLICE = 64
#: Loggers of which no warning is kept: there may be thousands.
UNNOTED = WORKERS, TASKS
#: Records of WARNING or above that are kept for the report: 0.5 kB each, up to 1.2 kB
#: if the text is not in Latin letters.
WARNINGS = 20


class LastWarning(NamedTuple):
    """What is kept of a record of WARNING or above."""

    timestamp: str
    severity: str
    message: str


class Drain:
    """Empties a queue, in a thread that starts with :meth:`start`.

    An exception of a handler or filter is counted and reported; the thread lives on.
    """

    #: Exceptions.
    errors: int
    #: Times that an exception would have ended the thread.
    restarts: int
    #: Times that the queue was emptied.
    turns: int
    #: The number (``seq``) of the last record popped, and of the last one served.
    last_seq: int
    served_seq: int
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
        self.errors = self.restarts = self.turns = 0
        self.last_seq = self.served_seq = 0
        self.started = False
        self._last_error: BaseException | None = None
        self.warnings = deque(maxlen=WARNINGS)
        self._queue = queue
        self._factory = factory
        self._report_dropped = report_dropped
        self._thread: threading.Thread | None = None
        # The slice in the thread's hands; how many of it logging has taken or an
        # exception kept from it; and how many there were in the slices before. The
        # thread changes the second for each record, and the others with the lock.
        self._slice: list[Waiting] = []
        self._settled = self._settled_before = 0
        self._abandoned = False
        self._lock = threading.Lock()
        self._reporting = Throttle(report_interval)
        self._errors_reported = self._dropped_reported = 0
        self._shortcut = Shortcut(factory.scheduler_id)

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

    @property
    def written(self) -> int:
        """Records handed to logging, even if a handler raised."""
        with self._lock:
            # What the thread finishes after it was abandoned is not counted.
            settled = self._settled_before + (0 if self._abandoned else self._settled)
        return settled - self._queue.dropped["failed"]

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def is_busy(self) -> bool:
        """Whether the thread runs, and another one can wait for its end."""
        # The garbage collector may close a stream in the thread itself.
        return self.is_alive() and self._thread is not threading.current_thread()

    def unsettled(self) -> list[Waiting]:
        """Return the records that logging has not taken yet, the oldest first."""
        with self._lock:
            return self._slice[self._settled :] + self._queue.copy()

    def abandon(self) -> list[Waiting]:
        """Take over what logging has not taken, and end the thread."""
        with self._lock:
            settled = 0 if self._abandoned else self._settled
            self._abandoned = True
            rest = self._slice[settled:] + self._queue.pop(len(self._queue))
            self._settled_before += settled
            self._slice = []
            return rest

    def serve(self, sink: logging.Handler) -> None:
        """Hand what logging has not taken to a handler, which ignores what it has."""
        for seq, _, (_, make, target), source in self.unsettled():
            if self._abandoned:
                return
            try:
                record = make(seq, source)
                if record[0] >= sink.level and not target.disabled:
                    log_record = self._factory.log_record(record)
                    # Python 3.12 lets a filter replace the LogRecord.
                    passed: Any = target.filter(log_record)
                    if passed:
                        sink.handle(log_record if passed is True else passed)
            except BaseException as e:  # go on with the other records
                self._count(e)
            self.served_seq = seq
        sink.flush()

    def start_serving(self, sink: logging.Handler) -> threading.Thread | None:
        """Start a thread for :meth:`serve`; without one where none can start."""
        thread = threading.Thread(target=self.serve, args=(sink,), name="leandask-last")
        thread.daemon = True  # the file of the sink may hang for ever
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter exits
            self.serve(sink)
            return None
        return thread

    def after_fork(self, queue: RecordQueue) -> None:
        """In a child process: start no thread, and leave the records to the parent."""
        self.started = True
        self._queue, self._slice, self._settled = queue, [], 0
        self._lock = threading.Lock()

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
            if self._abandoned or (closed and not self._queue):
                return

    def _empty(self) -> bool:
        """Empty the queue, for one turn at most; return whether it is empty."""
        log_record, only_sink = self._factory.log_record, self._shortcut.only_sink
        end = time.monotonic() + self.turn_seconds
        if self._queue:
            self._shortcut.look()
        while waiting := self._take():
            last_target = last_level = None  # the configuration may have changed
            for seq, _, kind, source in waiting:
                if self._abandoned:
                    return True
                _, make, target = kind
                is_written = False
                try:
                    record = make(seq, source)
                    level, _, fields = record
                    if level >= logging.WARNING and target not in UNNOTED:
                        self._note_warning(fields)
                    if level != last_level or target is not last_target:
                        sink = only_sink(target, level)
                        last_target, last_level = target, level
                    if sink is None:
                        handle(target, log_record(record), self._count)
                        is_written = True
                    else:
                        is_written = True
                        sink.write_fields(fields, level)
                except BaseException as e:  # go on with the rest of the slice
                    self._count(e)
                if not is_written:
                    self._queue.note_failed(kind)
                self._settled += 1
            self.last_seq = waiting[-1][0]
            if not self._queue.is_quarter_full:
                time.sleep(0)  # the event loop gets the GIL
            if time.monotonic() >= end:
                return False
        return True

    def _take(self) -> list[Waiting]:
        """Take a slice, or what is left of one whose handing over was interrupted."""
        with self._lock:
            if self._abandoned:
                return []
            if self._settled == len(self._slice):
                self._settled_before += self._settled
                self._slice, self._settled = self._queue.pop(SLICE), 0
            return self._slice[self._settled :]

    def _note_warning(self, fields: dict[str, Any]) -> None:
        timestamp, severity = fields["timestamp"], fields["severity"]
        message = fields["message"][:MESSAGE_LENGTH]
        self.warnings.append(LastWarning(timestamp, severity, message))

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
