"""GiveBack: giving memory back to the system once much of what was held is released."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

from dask.utils import format_bytes

from leandask import _compat
from leandask.histories.caches import clear_key_caches
from leandask.housekeeping.process import make_anew, rebuild, trim
from leandask.records.schema import MEMORY_GIVEN_BACK
from leandask.settings import config

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream

logger = logging.getLogger("leandask")

#: Transitions per second from which on a scheduler counts as busy.
BUSY = 100.0
#: What takes up to 50 ms of the event loop, and is left as it is where there is more of
#: it: entries of a table that is rebuilt; entries and bytes of the histories that are
#: made anew; blocks of memory in use where garbage is collected, about 20 for a task.
LARGEST_TABLE, LARGEST_TAIL, LARGEST_HEAP = 500_000, 10_000, 1_500_000
LARGEST_TAIL_BYTES = 2 * 2**20


class Outcome(TypedDict):
    """What came of giving memory back."""

    #: Whether it was done; else `reason` says why not.
    done: bool
    reason: str
    #: RSS in bytes.
    before: int
    after: int
    #: Longest time that it held the event loop, in seconds.
    longest_pause: float


class GiveBack:
    """Gives memory back when it is due: at most once a minute, and never when busy.

    The memory of objects goes back in blocks of 1 MiB, each as soon as all in it is
    gone. So caches are emptied, tables that were large are rebuilt, and what the
    histories keep is made anew, elsewhere.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
        Takes a record of each time.
    """

    #: Times that it was done, and the longest pause of the event loop, in seconds.
    count: int
    longest_pause: float

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        self.scheduler = scheduler
        self.stream = stream
        self.count = 0
        self.longest_pause = 0.0
        self._tasks = config.read("give-back.tasks")
        self._part = config.read("give-back.part")
        self._interval = config.read("give-back.interval")
        #: Most tasks at one time since memory was given back.
        self._peak = 0
        self._done_at = -float("inf")
        self._seen = (time.monotonic(), scheduler.transition_counter)
        self._rate = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.count} times, peak of {self._peak}>"

    def look(self) -> None:
        """Note how much is held, and how busy the scheduler is."""
        now, transitions = time.monotonic(), self.scheduler.transition_counter
        then, before = self._seen
        self._rate = (transitions - before) / max(now - then, 1e-3)
        self._seen = now, transitions
        self.note_peak()

    def note_peak(self) -> None:
        """Note how much is held."""
        self._peak = max(self._peak, len(self.scheduler.tasks))

    @property
    def is_due(self) -> bool:
        """Whether so many tasks, and such a part of them, were released."""
        if self._tasks is None:
            return False
        released = self._peak - len(self.scheduler.tasks)
        return bool(
            released >= self._tasks
            and released >= self._peak * self._part
            and not self.hindrance
        )

    @property
    def hindrance(self) -> str:
        """Why it can't be done now, or nothing."""
        if self._rate > BUSY:
            return f"the scheduler is busy: {self._rate:.0f} transitions per second"
        wait = self._done_at + self._interval - time.monotonic()
        if wait > 0:
            return f"memory was given back before: again in {wait:.0f} seconds"
        return ""

    async def ask(self) -> Outcome:
        """Give memory back if nothing hinders it."""
        self.look()
        if reason := self.hindrance:
            rss = self.scheduler.monitor.get_process_memory()
            return Outcome(
                done=False, reason=reason, before=rss, after=rss, longest_pause=0.0
            )
        return await self.run()

    async def run(self) -> Outcome:
        """Give memory back, in short slices, and record it."""
        self._done_at = time.monotonic()
        self._peak = len(self.scheduler.tasks)
        before = self.scheduler.monitor.get_process_memory()
        longest = 0.0
        for job in self._jobs():
            begun = time.perf_counter()
            job()
            longest = max(longest, time.perf_counter() - begun)
            await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, trim)
        after = self.scheduler.monitor.get_process_memory()
        self.count += 1
        self.longest_pause = max(self.longest_pause, longest)
        message = (
            f"memory given back: {format_bytes(before)} to {format_bytes(after)}, "
            f"longest pause {longest * 1000:.1f} ms"
        )
        fields = {"rss_before": before, "rss_after": after, "longest_pause": longest}
        self.stream.life(MEMORY_GIVEN_BACK, message, fields, force=False)
        return Outcome(
            done=True, reason="", before=before, after=after, longest_pause=longest
        )

    def _jobs(self) -> list[Callable[[], Any]]:
        scheduler = self.scheduler
        tables: list[Any] = [scheduler.tasks, scheduler.unrunnable]
        tables += [client.wants_what for client in scheduler.clients.values()]
        jobs: list[Callable[[], Any]] = [
            lambda table=table: rebuild(table)  # type: ignore[misc]
            for table in tables
            if len(table) <= LARGEST_TABLE
        ]
        jobs.append(lambda: clear_key_caches(0))
        jobs.append(lambda: make_anew(self._histories()))
        if sys.getallocatedblocks() <= LARGEST_HEAP:
            jobs.append(gc.collect)
        return jobs

    def _histories(self) -> list[Any]:
        scheduler = self.scheduler
        histories: list[Any] = [scheduler.transition_log, scheduler.erred_tasks]
        histories.append(_compat.get_log_handler(scheduler).deque)
        topics: Any = _compat.get_topics(scheduler)
        bound = topics.retention.event_bytes  # without it no size is known
        if bound is not None and topics.nbytes <= LARGEST_TAIL_BYTES:
            tails = (topic.events for topic in topics.values())
            histories += [tail for tail in tails if tail.is_packed]
        left = LARGEST_TAIL
        return [h for h in histories if (left := left - len(h)) >= 0]
