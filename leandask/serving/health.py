"""Health: what shows that a scheduler is not well."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from tornado.ioloop import PeriodicCallback

if TYPE_CHECKING:
    from distributed import Scheduler

#: Seconds between two looks at the clock. A stall may seem shorter by as much.
INTERVAL = 0.05
#: A worker that closes by itself says so before it leaves.
CLOSING = (Status.closing, Status.closing_gracefully)


class Health:
    """Measures how late the event loop is, and counts the workers that were lost.

    Only a timer and the removal of a worker cost something: tasks and events don't.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    """

    #: Workers that left neither retired nor after they had said that they close.
    workers_lost: int
    #: Sum of the seconds that the timer came later than it was due.
    lateness: float
    #: The timer.
    callback: PeriodicCallback

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.workers_lost = 0
        self.lateness = 0.0
        self._longest = 0.0
        self._due = float("inf")  # time.monotonic(); until the timer runs
        self.callback = PeriodicCallback(self._tick, INTERVAL * 1000)
        self._remove_worker = scheduler.remove_worker

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.workers_lost} workers lost, "
            f"{self.lateness:.3f} s late>"
        )

    def install(self) -> None:
        """Look at each worker that is removed; make upstream's metric of ticks true."""
        scheduler: Any = self._scheduler
        # Upstream starts and stops it with its own callbacks.
        scheduler.periodic_callbacks["leandask-health"] = self.callback
        scheduler.remove_worker = scheduler.handlers["unregister"] = self.remove_worker
        scheduler.digests_max = Longest(int, scheduler.digests_max)

    def take_longest_lateness(self) -> float:
        """Return the longest lateness in seconds since the last call."""
        self._measure()  # the timer may wait behind the request that asks for it
        longest, self._longest = self._longest, 0.0
        return longest

    def _tick(self) -> None:
        self._measure()
        self._due = time.monotonic() + INTERVAL

    def _measure(self) -> None:
        now = time.monotonic()
        late = now - self._due
        if late > 0:
            self._due = now + INTERVAL
            self.lateness += late
            self._longest = max(self._longest, late)

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


class Longest(defaultdict[Hashable, float]):
    """``Server.digests_max``: upstream measures "tick-duration", and shows another."""

    def __missing__(self, name: Hashable) -> float:
        if name == "tick_duration":
            return self["tick-duration"]
        return super().__missing__(name)
