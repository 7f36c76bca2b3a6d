"""RecordStream: the way of every record from the event loop to logging."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from leandask import config
from leandask.levels import level_of
from leandask.payload import plain
from leandask.records import EVENTS, NAME_LENGTH, RecordFactory

logger = logging.getLogger("leandask")

#: Records handed to logging before the event loop gets its turn.
SLICE = 64
#: Seconds between two looks at the queue. What is WARNING or above does not wait.
POLL_SECONDS = 0.1
#: Seconds between two reports of the same kind of loss.
REPORT_SECONDS = 60.0
#: Share of the bounds from which on only what is WARNING or above is taken.
NEARLY_FULL = 0.9
#: Estimated bytes of a waiting event without its payload, and of one character of it:
#: CPython takes about 50 bytes for a short text.
EVENT_BYTES, CHARACTER_BYTES = 400, 4


#: A record that waits: its number, estimated bytes, and the call that makes it.
_Waiting = tuple[int, int, Callable[..., logging.LogRecord], tuple[Any, ...]]


class RecordStream:
    """Takes events from the event loop and hands them to logging from a thread.

    The event loop copies the msg, appends it to a bounded queue and goes on: it never
    waits, and no exception reaches it. What finds the queue full is dropped and
    counted, and leaves a gap in the numbers (``seq``) of the records.

    Parameters
    ----------
    scheduler_id : str
        ``Scheduler.id``.
    call_soon : callable
        Runs a function on the event loop, and may be called from any thread.

    Raises
    ------
    TypeError, ValueError
        If a setting below ``leandask.stream`` is no such value.

    Notes
    -----
    The thread starts with the first record, and looks for more every 0.1 s.
    """

    def __init__(
        self, scheduler_id: str, call_soon: Callable[[Callable[[], None]], Any]
    ) -> None:
        #: Bounds of the queue, in records and in estimated bytes.
        self.max_length: int = config.read("stream.queue-length")
        self.max_bytes: int = config.read("stream.queue-bytes")
        #: Longest wait of :meth:`close`, in seconds.
        self.close_timeout: float = config.read("stream.close-timeout")
        record_bytes: int = config.read("stream.record-bytes")
        self._payload_limit = record_bytes // 2  # the rest: other fields, escapes
        self._factory = RecordFactory(scheduler_id)
        self._call_soon = call_soon
        self._queue: deque[_Waiting] = deque()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = self._closed = False
        # A counter is changed by one side only, so that none needs a lock:
        # the event loop's side,
        self._emitted = self._bytes_in = self._errors_in = 0
        self._dropped = {"queue-length": 0, "queue-bytes": 0, "closed": 0}
        self._dropped_reported = 0
        # and the thread's.
        self._written = self._bytes_out = self._errors_out = 0
        self._errors_reported = 0
        self._last_error: BaseException | None = None
        self._report_at = 0.0  # time.monotonic()

    def __repr__(self) -> str:
        return (
            f"<RecordStream: {len(self._queue)}/{self.max_length}, "
            f"{self._emitted} emitted, {sum(self._dropped.values())} dropped>"
        )

    def event(self, topic: str, event: tuple[float, Any]) -> None:
        """Take an event on the event loop; never waits, never raises.

        Parameters
        ----------
        topic : str
        event : tuple
            Its time in seconds since the epoch, and the msg, which may be anything.
        """
        try:
            timestamp, msg = event
            level = level_of(topic, msg)
            if not EVENTS.isEnabledFor(level):
                return
            value, size, truncated = plain(msg, self._payload_limit)
            name = str(plain(topic, NAME_LENGTH)[0])
            self._put(
                level,
                EVENT_BYTES + CHARACTER_BYTES * size,
                self._factory.event,
                (level, name, timestamp, value, truncated),
            )
        except Exception as e:
            self._errors_in += 1
            self._last_error = e

    def stats(self) -> dict[str, Any]:
        """Return the counters since the start.

        Returns
        -------
        dict
            ``emitted``: records taken or dropped. ``written``: records handed to
            logging. ``dropped``: records dropped, by reason. ``errors``: exceptions,
            mostly of handlers and filters. ``queued`` and ``queued_bytes``: records
            that wait, and their estimated size. ``bytes_written``: what sinks of
            leandask wrote to their files.
        """
        return {
            "emitted": self._emitted,
            "written": self._written,
            "dropped": dict(self._dropped),
            "errors": self._errors_in + self._errors_out,
            "queued": len(self._queue),
            "queued_bytes": self._bytes_in - self._bytes_out,
            "bytes_written": sum(sink.bytes_written for sink in _sinks()),
        }

    def close(self) -> None:
        """Write what waits, within :attr:`close_timeout`, and end the thread."""
        self._stop()
        if self._thread is not None and not self._closed:
            self._thread.join(self.close_timeout)
        self._abandon()

    async def aclose(self) -> None:
        """Do as :meth:`close`, and leave the event loop free meanwhile."""
        self._stop()
        deadline = time.monotonic() + self.close_timeout
        while self._thread is not None and self._thread.is_alive():
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.005)
        self._abandon()

    def _stop(self) -> None:
        if not self._closing:
            self._report_dropped()
            self._closing = True
            self._wake.set()

    def _abandon(self) -> None:
        self._closed = True
        if waiting := len(self._queue):
            self._queue.clear()
            self._dropped["closed"] += waiting
            logger.error(
                "%s records are lost: logging did not take them within %s s",
                waiting,
                self.close_timeout,
            )

    # On the event loop

    def _put(
        self,
        level: int,
        nbytes: int,
        make: Callable[..., logging.LogRecord],
        args: tuple[Any, ...],
    ) -> None:
        """Number a record and queue the call that makes it, if there is room."""
        self._emitted += 1
        waiting_bytes = self._bytes_in - self._bytes_out + nbytes
        share = 1.0 if level >= logging.WARNING else NEARLY_FULL
        if self._closing:
            self._dropped["closed"] += 1
        elif len(self._queue) >= share * self.max_length:
            self._dropped["queue-length"] += 1
        elif waiting_bytes > share * self.max_bytes:
            self._dropped["queue-bytes"] += 1
        else:
            self._bytes_in += nbytes
            self._queue.append((self._emitted, nbytes, make, args))
            self._start()
            if (
                level >= logging.WARNING
                or waiting_bytes > self.max_bytes / 2
                or len(self._queue) > self.max_length / 2
            ):
                self._wake.set()

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="leandask-records")
            thread.daemon = True
            thread.start()
            self._thread = thread

    def _report_dropped(self) -> None:
        """Emit a record of how many were dropped, unless none was since the last."""
        total = sum(self._dropped.values())
        since = total - self._dropped_reported
        if since and not self._closing:
            self._dropped_reported = total
            self._emitted += 1
            # Past the bounds, as it tells that they are reached; it is one a minute.
            make = self._factory.dropped
            self._queue.append((self._emitted, 0, make, (time.time(), total, since)))
            self._start()

    # In the thread

    def _run(self) -> None:
        while True:
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            closing = self._closing
            self._drain()
            for sink in _sinks():
                sink.flush() if closing else sink.flush_if_due()
            self._report()
            if closing and not self._queue:
                return

    def _drain(self) -> None:
        while self._queue:
            for _ in range(SLICE):
                try:
                    seq, nbytes, make, args = self._queue.popleft()
                except IndexError:
                    return
                self._bytes_out += nbytes
                try:
                    EVENTS.handle(make(seq, *args))
                    self._written += 1
                except Exception as e:  # of a handler or filter
                    self._errors_out += 1
                    self._last_error = e
            time.sleep(0)  # let the event loop have the interpreter

    def _report(self) -> None:
        """Tell of losses, once a minute at most."""
        errors = self._errors_in + self._errors_out
        dropped = sum(self._dropped.values())
        if errors == self._errors_reported and dropped == self._dropped_reported:
            return
        if time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_SECONDS
        try:
            if dropped != self._dropped_reported:
                self._call_soon(self._report_dropped)
            if errors != self._errors_reported:
                self._errors_reported = errors
                logger.warning(
                    "%s records failed on their way to logging; the last with %r",
                    errors,
                    self._last_error,
                )
        except Exception:  # a closed loop, or again a handler: it is counted above
            self._errors_out += 1


def _sinks() -> Iterator[Any]:
    """Handlers that keep lines back, and want to be told when to write them."""
    current: logging.Logger | None = EVENTS
    while current is not None:
        yield from (h for h in current.handlers if hasattr(h, "flush_if_due"))
        current = current.parent if current.propagate else None
