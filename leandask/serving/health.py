"""Health: what shows that a scheduler is not well."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import dask.config
from dask.utils import parse_timedelta
from distributed.core import Status
from tornado.ioloop import PeriodicCallback

from leandask._throttle import Throttle
from leandask.records.schema import UNRESPONSIVE

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream

#: Most milliseconds between two looks at the clock: a stall may seem shorter by them.
MAX_INTERVAL = 50.0
#: A worker that closes by itself says so before it leaves.
CLOSING = (Status.closing, Status.closing_gracefully)
#: Seconds between two records of an event loop that was unresponsive.
RECORD_SECONDS = 10.0
#: Who asks for the longest lateness, each since it asked last.
Reader = Literal["scrape", "sample"]


class Health:
    """Measures how late the event loop is, and counts the workers that were lost.

    It does so at upstream's ticks and when a worker is removed: tasks and events cost
    nothing more. Where upstream logs that the event loop was unresponsive, this records
    it as a warning.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    """

    #: Workers that left neither retired nor after they had said that they close.
    workers_lost: int
    #: Sum of the seconds that ticks came later than they were due.
    lateness: float
    #: Times that the event loop was unresponsive.
    stalls: int

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        self._scheduler = scheduler
        self._stream = stream
        self.workers_lost = self.stalls = 0
        self.lateness = 0.0
        self._longest: dict[Reader, float] = {"scrape": 0.0, "sample": 0.0}
        limit = dask.config.get("distributed.admin.tick.limit")
        #: Seconds between two ticks from which on the event loop was unresponsive.
        self._stall_limit = parse_timedelta(limit, default="ms")
        self._longest_stall = 0.0  # seconds; of those without a record
        self._recording = Throttle(RECORD_SECONDS)
        self._interval = 0.0  # seconds
        self._due = float("inf")  # time.monotonic(); until the first tick
        self._remove_worker = scheduler.remove_worker

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.workers_lost} workers lost, "
            f"{self.lateness:.3f} s late>"
        )

    def install(self) -> None:
        """Look at each tick and each removal; make upstream's metric of ticks true."""
        scheduler: Any = self._scheduler
        tick = scheduler.periodic_callbacks["tick"]
        if tick.callback_time <= MAX_INTERVAL:  # nothing more wakes the process
            tick.callback = partial(self._tick, tick.callback)
        else:
            tick = PeriodicCallback(self._tick, MAX_INTERVAL)
            scheduler.periodic_callbacks["leandask-health"] = tick
            if scheduler.listeners:  # else upstream starts it with its own callbacks
                tick.start()
        self._interval = tick.callback_time / 1000
        scheduler.remove_worker = scheduler.handlers["unregister"] = self.remove_worker
        scheduler.digests_max = DigestsMax(int, scheduler.digests_max)

    def take_longest_lateness(self, reader: Reader = "scrape") -> float:
        """Return the longest lateness in seconds since the reader's last call."""
        self._measure()  # a tick may wait behind the request that asks for it
        longest, self._longest[reader] = self._longest[reader], 0.0
        return longest

    def _tick(self, upstream: Callable[[], None] | None = None) -> None:
        self._measure()
        self._due = time.monotonic() + self._interval
        if upstream is not None:
            upstream()

    def _measure(self) -> None:
        now = time.monotonic()
        late = now - self._due
        if late > 0:
            self._due = now + self._interval
            self.lateness += late
            for reader, longest in self._longest.items():
                self._longest[reader] = max(longest, late)
            if (seconds := late + self._interval) > self._stall_limit:
                self._note_stall(seconds)

    def _note_stall(self, seconds: float) -> None:
        self.stalls += 1
        self._longest_stall = max(self._longest_stall, seconds)
        if not self._recording.acquire():
            return
        seconds, self._longest_stall = self._longest_stall, 0.0
        message = f"event loop was unresponsive for {seconds:.2f} s"
        fields = {"seconds": round(seconds, 3), "stalls_total": self.stalls}
        self._stream.life(UNRESPONSIVE, message, fields, logging.WARNING, force=False)

    async def remove_worker(
        self, address: str, *, expected: bool = False, **kwargs: Any
    ) -> str:
        """Remove a worker as upstream does, and count it if it is lost."""
        scheduler = self._scheduler
        if not expected and scheduler.status != Status.closed:
            ws = scheduler.workers.get(scheduler.coerce_address(address))
            if ws is not None and ws.status not in CLOSING:
                self.workers_lost += 1
        return await self._remove_worker(address, expected=expected, **kwargs)


class DigestsMax(defaultdict[Hashable, float]):
    """Shows "tick-duration", which upstream measures, to metrics that misspell it.

    It replaces ``Server.digests_max``.
    """

    def __missing__(self, name: Hashable) -> float:
        if name == "tick_duration":
            return self["tick-duration"]
        return super().__missing__(name)
