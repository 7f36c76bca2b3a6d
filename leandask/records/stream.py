"""RecordStream: the way of every record from the scheduler to logging."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leandask._fork import leave_to_parent
from leandask.records.drain import Drain
from leandask.records.factory import RecordFactory
from leandask.records.loggers import EVENTS, TRANSITIONS
from leandask.records.payload import plain
from leandask.records.recordqueue import Kind, RecordQueue
from leandask.records.schema import RECORDS_DROPPED
from leandask.records.severity import level_of
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


class RecordStream:
    """Takes events and transitions on the event loop, and hands them to logging.

    The event loop appends to a bounded queue and goes on: it never waits, and no
    exception reaches it. A thread makes the records. What finds the queue full is
    dropped and counted, and leaves a gap in the numbers (``seq``) of the records.

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
    The thread starts with the first record. A record waits for 0.1 s at most, but for
    slow handlers; what is WARNING or above wakes the thread.

    With ``leandask.stream.overflow: block`` the event loop does wait where the queue is
    full, for ``block-timeout`` at most; after one wait in vain it drops until there is
    room.
    """

    def __init__(
        self, scheduler_id: str, call_soon: Callable[[Callable[[], None]], Any]
    ) -> None:
        block = config.read("stream.overflow") == "block"
        #: What waits for the thread.
        self.queue = RecordQueue(
            config.read("stream.queue-length"),
            config.read("stream.queue-bytes"),
            config.read("stream.block-timeout") if block else 0.0,
        )
        #: Longest wait of :meth:`close`, in seconds.
        self.close_timeout: float = config.read("stream.close-timeout")
        # Half of a record, as the payload is escaped in it.
        self._payload_limit = config.read("stream.record-bytes") // 2
        factory = RecordFactory(scheduler_id)
        self._event = Kind("event", factory.event, EVENTS)
        self._transition = Kind("transition", factory.transition, TRANSITIONS)
        self._life = Kind("life", factory.life, EVENTS)
        self._drain = Drain(self.queue, factory, lambda: call_soon(self.report_dropped))
        self._errors = 0  # of the event loop's side
        self._dropped_reported = 0
        self._closed = False
        leave_to_parent(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.queue!r}>"

    def event(self, topic: str, event: tuple[float, Any]) -> None:
        """Take an event; never raises.

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
            event_ = level, name_of(topic), timestamp, value, truncated
            urgent = level >= logging.WARNING
            put = self.queue.put_urgent if urgent else self.queue.put
            put(self._event, event_, EVENT_BYTES + CHARACTER_BYTES * size)
            self._drain.start()
        except Exception:
            self.count_error()

    def count_error(self) -> None:
        """Count an exception of ours that the scheduler must not see."""
        self._errors += 1

    def transition(self, transition: Transition) -> None:
        """Take a transition; never raises.

        Parameters
        ----------
        transition : distributed.scheduler.Transition
            It is kept as it is until the thread makes a record of it.
        """
        if TRANSITIONS.isEnabledFor(logging.DEBUG) or (
            transition[2] == "erred" and TRANSITIONS.isEnabledFor(logging.INFO)
        ):
            nbytes = TRANSITION_BYTES + RECOMMENDATION_BYTES * len(transition[3])
            self.queue.put(self._transition, transition, nbytes)
            if not self._drain.started:
                self._drain.start()

    def life(
        self,
        event_name: str,
        message: str,
        fields: Mapping[str, Any],
        level: int = logging.INFO,
        anyway: bool = True,
    ) -> None:
        """Take a record of the scheduler's own life.

        Parameters
        ----------
        event_name : str
            Such as :data:`leandask.records.schema.STARTED`.
        message : str
        fields : mapping
            Further fields of the schema.
        level : int, optional
            Level of logging.
        anyway : bool, optional
            Whether it is taken where the queue is full: for those that can't be many.
        """
        if EVENTS.isEnabledFor(level) and not self.queue.closed:
            record = level, event_name, time.time(), message, fields
            put = self.queue.put_anyway if anyway else self.queue.put_urgent
            put(self._life, record, EVENT_BYTES)
            self._drain.start()

    def report_dropped(self) -> None:
        """Emit a record of how many were dropped, unless none was since the last."""
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
        """Wait until logging has what was emitted until now; not on the event loop.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most.
        """
        deadline = time.monotonic() + timeout
        turns = self._drain.turns + 2  # the present one may have begun before
        emitted = self.queue.emitted
        while (
            self._drain.turns < turns
            and self._drain.passed < emitted
            and self._drain.is_alive()
            and time.monotonic() < deadline
        ):
            self.queue.wake.set()
            time.sleep(0.002)

    def stats(self) -> dict[str, Any]:
        """Return the counters since the start.

        Returns
        -------
        dict
            ``emitted``: records taken or dropped. ``written``: records handed to
            logging. ``dropped`` and ``dropped_kinds``: records dropped, by reason and
            by kind. ``errors``: exceptions, mostly of handlers and filters.
            ``restarts``: of the thread. ``queued`` and ``queued_bytes``: records that
            wait, and their estimated size.
        """
        return {
            "emitted": self.queue.emitted,
            "written": self._drain.written,
            "dropped": dict(self.queue.dropped),
            "dropped_kinds": dict(self.queue.dropped_kinds),
            "errors": self._errors + self._drain.errors,
            "restarts": self._drain.restarts,
            "queued": len(self.queue),
            "queued_bytes": self.queue.nbytes,
        }

    def warnings(self) -> list[dict[str, str]]:
        """Return the last records of WARNING or above, newest first.

        Returns
        -------
        list of dict
            20 at most: ``timestamp``, ``severity`` and ``message`` of each.
        """
        names = "timestamp", "severity", "message"
        last = self._drain.warnings.copy()
        return [dict(zip(names, warning, strict=True)) for warning in reversed(last)]

    def close(self) -> None:
        """Hand over what waits, within :attr:`close_timeout`, and end the thread."""
        self._stop()
        if not self._closed:
            self._drain.join(self.close_timeout)
        self._abandon()

    async def aclose(self) -> None:
        """Do as :meth:`close`, and leave the event loop free meanwhile."""
        self._stop()
        deadline = time.monotonic() + self.close_timeout
        while self._drain.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        self._abandon()

    def _stop(self) -> None:
        self.report_dropped()
        self.queue.close()

    def _abandon(self) -> None:
        self._closed = True
        if count := self.queue.abandon():
            logger.error(
                "%s records are lost: logging did not take them within %s s",
                count,
                self.close_timeout,
            )

    def after_fork(self) -> None:
        """In a child process: leave the records and the thread to the parent."""
        self.queue = RecordQueue(0, 0, 0.0)
        self.queue.close()
        self._drain.started = True  # and never here
        self._closed = True
