"""RecordStream: brings every record from the scheduler to logging."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from leandask._fork import leave_to_parent
from leandask.records.drain import Drain
from leandask.records.factory import EventSource, LifeFields, LifeSource, RecordFactory
from leandask.records.loggers import EVENTS, SAMPLES, TRANSITIONS, WORKERS
from leandask.records.payload import plain
from leandask.records.recordqueue import Kind, RecordQueue, StreamStats
from leandask.records.schema import RECORDS_DROPPED, SAMPLE, WORKER_LOG
from leandask.records.severity import is_failed_transition, level_of
from leandask.records.text import name_of
from leandask.settings import config

if TYPE_CHECKING:
    from distributed.scheduler import Transition

logger = logging.getLogger("leandask")

#: Estimated bytes of a waiting event without its payload, and of one character of it
#: (CPython takes about 50 bytes for a short text).
EVENT_BYTES, CHARACTER_BYTES = 400, 4
#: Estimated bytes of a waiting transition, and of each of its recommendations.
TRANSITION_BYTES, RECOMMENDATION_BYTES = 400, 120
#: Seconds for which the event log waits for other handlers when the stream is closed,
#: and then the end for its next record; and seconds between two looks.
PATIENCE, POLL = 0.5, 0.003


class RecordStream:
    """Takes events and transitions on the event loop, and hands them to logging.

    The event loop appends to a bounded queue and goes on: it never waits, and no
    exception reaches it. A thread makes the records. Where the queue is full, a record
    is dropped and counted, and leaves a gap in the numbers (``seq``).

    Parameters
    ----------
    scheduler_id : str
        ``Scheduler.id``.
    call_soon : callable
        Runs a function on the event loop; safe in any thread.
    poll_intervals : tuple of float, optional
        Seconds between two polls of the queue by the thread: while records come, and
        while none do.
    report_interval : float, optional
        Shortest time in seconds between two reports of losses.

    Raises
    ------
    TypeError, ValueError
        If a setting below ``leandask.stream`` breaks its rule.

    Notes
    -----
    The thread starts with the first record. A record waits for 0.1 s at most, unless
    handlers are slow; WARNING and above wakes the thread.

    With ``leandask.stream.overflow: block`` the event loop does wait where the queue is
    full, for ``block-timeout`` at most. After a wait that timed out it drops records
    until there is room again.
    """

    def __init__(
        self,
        scheduler_id: str,
        call_soon: Callable[[Callable[[], None]], object],
        *,
        poll_intervals: tuple[float, float] = (0.01, 0.1),
        report_interval: float = 60.0,
    ) -> None:
        block = config.read("stream.overflow") == "block"
        #: Records that wait for the thread.
        self.queue = RecordQueue(
            config.read("stream.queue-length"),
            config.read("stream.queue-bytes"),
            config.read("stream.block-timeout") if block else 0.0,
        )
        #: Longest wait of :meth:`close` in seconds, from ``stream.close-timeout``.
        self.close_timeout: float = config.read("stream.close-timeout")
        # Half of a record, as escapes make the payload longer in it.
        self._payload_limit = config.read("stream.record-bytes") // 2
        #: Makes the records in the thread.
        self.factory = factory = RecordFactory(scheduler_id)
        self._event = Kind("event", factory.event, EVENTS)
        self._worker_line = Kind("event", factory.worker_line, WORKERS)
        self._transition = Kind("transition", factory.transition, TRANSITIONS)
        self._life = Kind("life", factory.life, EVENTS)
        self._sample = Kind("life", partial(factory.life, logger=SAMPLES), SAMPLES)
        self._drain = Drain(
            self.queue,
            factory,
            lambda: call_soon(self.report_dropped),
            poll_intervals=poll_intervals,
            report_interval=report_interval,
        )
        #: Called with each transition into erred; must not raise.
        self.on_erred: Callable[[Transition], object] = lambda transition: None
        #: Whether the scheduler ends: workers that leave then are not lost.
        self.is_stopping = False
        #: Transitions that raised in the scheduler.
        self.failed_transitions = 0
        self._errors = 0  # on the event loop
        self._dropped_reported = 0
        self._closed = False
        leave_to_parent(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.queue!r}>"

    def event(self, topic: str, event: tuple[float, Any]) -> None:
        """Take an event, its time and its msg of any type; never raises."""
        try:
            timestamp, msg = event
            level = level_of(topic, msg, self.is_stopping)
            kind = self._worker_line if topic == WORKER_LOG else self._event
            urgent = level >= logging.WARNING and kind is self._event
            if urgent:
                self.failed_transitions += is_failed_transition(topic, msg)
            if not kind.logger.isEnabledFor(level):
                return
            value, size, truncated = plain(msg, self._payload_limit)
            source: EventSource = level, name_of(topic), timestamp, value, truncated
            put = self.queue.put_urgent if urgent else self.queue.put
            put(kind, source, EVENT_BYTES + CHARACTER_BYTES * size)
            self._drain.start()
        except Exception:
            self.count_error()

    def count_error(self) -> None:
        """Count an exception that must not reach the scheduler."""
        self._errors += 1

    def transition(self, transition: Transition) -> None:
        """Take a transition, and keep it until the thread has it; never raises."""
        level = logging.DEBUG
        if transition[2] == "erred":
            level = logging.INFO
            self.on_erred(transition)
        if TRANSITIONS.isEnabledFor(level):
            nbytes = TRANSITION_BYTES + RECOMMENDATION_BYTES * len(transition[3])
            self.queue.put(self._transition, transition, nbytes)
            if not self._drain.started:
                self._drain.start()

    def start(self) -> None:
        """Start the thread: for those who put into the queue themselves."""
        self._drain.start()

    def life(
        self,
        event_name: str,
        message: str,
        fields: LifeFields,
        level: int = logging.INFO,
        force: bool = True,
    ) -> None:
        """Take a record of the scheduler or the stream itself, such as the start.

        `force` takes it even if the queue is full. It is not for records that a client
        can cause many times.
        """
        kind = self._sample if event_name == SAMPLE else self._life
        if kind.logger.isEnabledFor(level) and not self.queue.closed:
            source = LifeSource(level, event_name, time.time(), message, fields)
            put = self.queue.put_unbounded if force else self.queue.put_urgent
            put(kind, source, EVENT_BYTES)
            self._drain.start()

    def report_dropped(self) -> None:
        """Emit a record of how many were dropped since the last report, if any."""
        total = self.queue.n_dropped
        since, self._dropped_reported = total - self._dropped_reported, total
        if since:
            self.life(
                RECORDS_DROPPED,
                f"{since} records were dropped, {total} since the start: "
                f"{self.queue.dropped_kinds}, {self.queue.dropped}",
                {"dropped_total": total, "dropped_since_last": since},
                logging.WARNING,
            )

    def catch_up(self, timeout: float) -> None:
        """Wait until logging has the records emitted so far; not on the event loop."""
        for _ in self._catching_up(timeout):
            time.sleep(POLL)

    async def acatch_up(self, timeout: float) -> None:
        """Do the same as :meth:`catch_up`, without blocking the event loop."""
        for _ in self._catching_up(timeout):
            await asyncio.sleep(POLL)

    def _catching_up(self, timeout: float) -> Iterator[None]:
        deadline = time.monotonic() + timeout
        turns = self._drain.turns + 2  # the current one may have begun before
        emitted = self.queue.emitted
        while (
            self._drain.turns < turns
            and self._drain.last_seq < emitted
            and self._drain.is_alive()
            and time.monotonic() < deadline
        ):
            self.queue.wake.set()
            yield

    def stats(self) -> StreamStats:
        """Return the counters since the start, as a dict."""
        return StreamStats(
            emitted=self.queue.emitted,
            written=self._drain.written,
            dropped=dict(self.queue.dropped),
            dropped_kinds=dict(self.queue.dropped_kinds),
            errors=self._errors + self._drain.errors,
            restarts=self._drain.restarts,
            queued=len(self.queue),
            queued_bytes=self.queue.nbytes,
        )

    def warnings(self) -> list[dict[str, str]]:
        """Return the last records of WARNING or above: 20 at most, newest first."""
        last = self._drain.warnings.copy()
        return [warning._asdict() for warning in reversed(last)]

    def close(self, event_log: logging.Handler | None = None) -> None:
        """Hand the records that wait to logging, and end the thread.

        What logging has not taken after :attr:`close_timeout` is dropped and counted.

        Parameters
        ----------
        event_log : logging.Handler, optional
            It does not wait for slower handlers: it gets all records, also those that
            are dropped for the others. It must ignore a record that it has.
        """
        for _ in self._steps(event_log):
            time.sleep(POLL)

    async def aclose(self, event_log: logging.Handler | None = None) -> None:
        """Do the same as :meth:`close`, without blocking the event loop."""
        for _ in self._steps(event_log):
            await asyncio.sleep(POLL)

    def _steps(self, event_log: logging.Handler | None) -> Iterator[None]:
        """Close, and yield where there is something to wait for."""
        self.report_dropped()
        self.queue.close()
        drain, thread = self._drain, None
        begun = time.monotonic()
        end = begun + (0.0 if self._closed else self.close_timeout)
        for until in (min(begun + PATIENCE, end), end):
            while drain.is_busy() and time.monotonic() < until:
                yield
            if event_log is not None and drain.unsettled():
                thread, event_log = drain.start_serving(event_log), None
        seq = -1
        until = time.monotonic() + PATIENCE
        while thread and thread.is_alive() and time.monotonic() < until:
            if seq != drain.served_seq:  # else its file hangs
                seq, until = drain.served_seq, time.monotonic() + PATIENCE
            yield
        self._closed = True
        if rest := drain.abandon():
            self.queue.note_closed(rest)
            logger.error(
                "%s records are lost: logging did not take them within %s s%s",
                len(rest),
                self.close_timeout,
                "; the event log has them" if drain.served_seq >= rest[-1][0] else "",
            )

    def after_fork(self) -> None:
        """In a child process: leave records and thread to the parent process."""
        self.queue = RecordQueue(0, 0, 0.0)
        self.queue.close()
        self._drain.after_fork(self.queue)
        self._closed = True
