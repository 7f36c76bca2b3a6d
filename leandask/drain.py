"""Drain: the thread that makes LogRecords of what waits, and hands them to logging."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from leandask.queue import RecordQueue
from leandask.records import EVENTS, TRANSITIONS

logger = logging.getLogger("leandask")

#: Records handed to logging before the event loop gets its turn.
SLICE = 64
#: Seconds between two looks at the queue: while records come, and while none do.
POLL_SECONDS = (0.01, 0.1)
#: Seconds between two reports of the same kind of loss.
REPORT_SECONDS = 60.0


class Drain:
    """Empties a queue, from a thread that starts with :meth:`start`.

    An exception of a handler or filter is counted and reported; the thread lives on.

    Parameters
    ----------
    queue : RecordQueue
    report_dropped : callable
        Called, once a minute at most, when records were dropped.
    """

    #: Records handed to logging, exceptions, and what stopped the thread but for this
    #: class having it go on.
    written: int
    errors: int
    restarts: int
    last_error: BaseException | None

    def __init__(self, queue: RecordQueue, report_dropped: Callable[[], Any]) -> None:
        self.written = self.errors = self.restarts = 0
        self.last_error = None
        self._queue = queue
        self._report_dropped = report_dropped
        self._thread: threading.Thread | None = None
        self._report_at = 0.0  # time.monotonic() of the next report
        self._errors_reported = self._dropped_reported = 0

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="leandask-drain")
            thread.daemon = True
            thread.start()
            self._thread = thread

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait, for some seconds at most, until the thread emptied a closed queue."""
        if self._thread is not None:
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
        busy = False
        while True:
            self._queue.wake.wait(POLL_SECONDS[0 if busy else 1])
            self._queue.wake.clear()
            closed = self._queue.closed
            busy = len(self._queue) > 0
            self._empty()
            for sink in sinks():
                sink.flush() if closed else sink.flush_if_due()
            self._report()
            if closed and not self._queue:
                return

    def _empty(self) -> None:
        pop = self._queue.pop
        while self._queue:
            for _ in range(SLICE):
                try:
                    seq, _nbytes, kind, args = pop()
                except IndexError:
                    return
                try:
                    kind.handle(kind.make(seq, *args))
                    self.written += 1
                except Exception as e:
                    self._count(e)
            time.sleep(0)  # let the event loop have the interpreter

    def _count(self, error: BaseException) -> None:
        self.errors += 1
        # Its frames would keep alive whatever they hold.
        self.last_error = error.with_traceback(None)

    def _report(self) -> None:
        """Tell of losses, once a minute at most."""
        dropped = self._queue.n_dropped
        if (
            self.errors == self._errors_reported and dropped == self._dropped_reported
        ) or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_SECONDS
        try:
            if dropped != self._dropped_reported:
                self._dropped_reported = dropped
                self._report_dropped()
            if self.errors != self._errors_reported:
                self._errors_reported = self.errors
                logger.warning(
                    "%s records failed on their way to logging, the last with %r",
                    self.errors,
                    self.last_error,
                )
        except Exception as e:  # a closed event loop, or again a handler
            self._count(e)


def sinks() -> Iterator[Any]:
    """Handlers of records that keep lines back until they are told to write them."""
    seen = set()
    for start in (EVENTS, TRANSITIONS):
        current: logging.Logger | None = start
        while current is not None:
            for handler in current.handlers:
                if hasattr(handler, "flush_if_due") and handler not in seen:
                    seen.add(handler)
                    yield handler
            current = current.parent if current.propagate else None
