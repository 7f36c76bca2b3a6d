"""GiveBack: returns memory to the system once much of what was held is released."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypedDict

from dask.utils import format_bytes

from leandask.histories import bounds as histories
from leandask.histories.loglines import log_lines_of
from leandask.histories.lru import clear_key_caches
from leandask.histories.spans.spans import LeanSpans
from leandask.histories.topics.broker import topics_of
from leandask.housekeeping.process import (
    is_mostly_empty,
    reallocate,
    shrink_table,
    trim_heap,
)
from leandask.records.schema import MEMORY_GIVEN_BACK
from leandask.settings import config
from leandask.settings.retention import Retention, in_force

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream
    from leandask.tasks.collector import Collector

logger = logging.getLogger("leandask")

#: Transitions per second above which a scheduler counts as busy.
BUSY_RATE = 100.0
#: Entries of a table, and entries of histories, up to which copying them takes at most
#: 50 ms of the event loop. Larger ones stay as they are.
LARGEST_TABLE, LARGEST_HISTORIES = 500_000, 10_000
#: Bytes of all events up to which the same holds.
LARGEST_EVENT_BYTES = 2 * 2**20
#: Allocated blocks up to which a collection of garbage takes at most 50 ms. A task has
#: about 20 blocks.
LARGEST_HEAP = 1_500_000


class Outcome(TypedDict):
    """The result of giving memory back."""

    #: Whether it was done; if not, `reason` says why.
    done: bool
    reason: str
    #: RSS in bytes.
    before: int
    after: int
    #: Longest time that it held the event loop, in seconds.
    longest_pause: float


class GiveBack:
    """Gives memory back when it is due: at most once a minute, and never when busy.

    CPython frees the memory of objects in blocks of 1 MiB, each once nothing in it is
    used. So caches are emptied, tables that were large are shrunk, and what the
    histories keep is copied to other blocks. Each time is recorded in the stream.
    """

    #: Times that it was done.
    count: int
    #: Longest time that it held the event loop, in seconds.
    longest_pause: float

    def __init__(
        self,
        scheduler: Scheduler,
        stream: RecordStream,
        collector: Collector,
        busy_rate: float = BUSY_RATE,
    ) -> None:
        self.scheduler = scheduler
        self.collector = collector
        self.stream = stream
        self.busy_rate = busy_rate
        self.count = 0
        self.longest_pause = 0.0
        self._tasks = config.read("give-back.tasks")
        self._part = config.read("give-back.part")
        self._interval = config.read("give-back.interval")
        #: Most tasks at one time since memory was given back.
        self._peak = 0
        self._done_at = -float("inf")  # time.monotonic()
        #: Time and the scheduler's count of transitions when its load was noted.
        self._noted = (time.monotonic(), scheduler.transition_counter)
        self._rate = 0.0  # transitions per second
        spans = scheduler.extensions.get("spans")
        if isinstance(spans, LeanSpans):
            spans.on_graph = self.note_peak

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.count} times, peak of {self._peak}>"

    def note_load(self) -> None:
        """Note how many tasks are held, and how busy the scheduler is."""
        now, transitions = time.monotonic(), self.scheduler.transition_counter
        then, before = self._noted
        self._rate = (transitions - before) / max(now - then, 1e-3)
        self._noted = now, transitions
        self.note_peak()

    def note_peak(self) -> None:
        """Note how many tasks are held."""
        self._peak = max(self._peak, len(self.scheduler.tasks))

    @property
    def is_due(self) -> bool:
        """Whether enough tasks, and a large enough part of them, were released."""
        if self._tasks is None:
            return False
        released = self._peak - len(self.scheduler.tasks)
        return bool(
            released >= self._tasks
            and released >= self._peak * self._part
            and not self.refusal
        )

    @property
    def is_busy(self) -> bool:
        """Whether many transitions were made between the last two notes of the load."""
        return self._rate > self.busy_rate

    @property
    def refusal(self) -> str:
        """Why it is not done now; empty if it can be done."""
        if self.is_busy:
            return f"the scheduler is busy: {self._rate:.0f} transitions per second"
        if (wait := self._wait) > 0:
            return f"memory was just given back: possible again in {wait:.0f} seconds"
        return ""

    @property
    def _wait(self) -> float:
        """Seconds until it may be done again; 0 or less if it may be done now."""
        return self._done_at + self._interval - time.monotonic()

    async def ask(self) -> Outcome:
        """Give memory back, unless it is refused."""
        self.note_load()
        if reason := self.refusal:
            rss = self.scheduler.monitor.get_process_memory()
            return Outcome(
                done=False, reason=reason, before=rss, after=rss, longest_pause=0.0
            )
        return await self.run()

    async def relieve(self) -> None:
        """Give back all that can be, as memory is short: at most once a minute.

        Histories are cut to half of what they may keep. Their bounds stay.
        """
        if self._wait <= 0:
            self._done_at = time.monotonic()  # nobody else begins meanwhile
            for entry in histories.BOUNDS:
                if entry.resize is not None:
                    self._halve(entry.resize)
                    await asyncio.sleep(0)
            await self.run()

    async def tidy(self) -> None:
        """Free what a graph that was refused has left in cycles and in the heap."""
        if self.collector.count_blocks() <= LARGEST_HEAP:
            self.collector.collect_all()
        await asyncio.get_running_loop().run_in_executor(None, trim_heap)

    async def run(self) -> Outcome:
        """Give memory back, in short slices, and record it."""
        self._done_at = time.monotonic()
        self._peak = len(self.scheduler.tasks)
        before = self.scheduler.monitor.get_process_memory()
        longest = 0.0
        for job in self._get_jobs():
            begun = time.perf_counter()
            job()
            longest = max(longest, time.perf_counter() - begun)
            await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, trim_heap)
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

    def _get_jobs(self) -> list[Callable[[], Any]]:
        scheduler = self.scheduler
        tables: list[Any] = [scheduler.tasks, scheduler.unrunnable]
        tables += [client.wants_what for client in scheduler.clients.values()]
        jobs: list[Callable[[], Any]] = [
            lambda table=table: shrink_table(table)  # type: ignore[misc]
            for table in tables
            if len(table) <= LARGEST_TABLE and is_mostly_empty(table)
        ]
        jobs.append(lambda: clear_key_caches(0))
        jobs.append(self._reallocate)
        if self.collector.count_blocks() <= LARGEST_HEAP:
            jobs.append(self.collector.collect_all)
        return jobs

    def _halve(self, resize: Callable[[Any, Retention], object]) -> None:
        scheduler: Any = self.scheduler
        bounds = in_force(scheduler)
        try:
            scheduler.retention = bounds.halved()
            resize(scheduler, scheduler.retention)
        finally:
            scheduler.retention = bounds
            resize(scheduler, bounds)

    def _reallocate(self) -> None:
        """Copy the histories; a thread that logs a line waits as long."""
        with log_lines_of(self.scheduler).lock or nullcontext():
            reallocate(self._get_histories())

    def _get_histories(self) -> list[Any]:
        scheduler = self.scheduler
        histories: list[Any] = [scheduler.transition_log, scheduler.erred_tasks]
        histories.append(log_lines_of(scheduler).lines)
        topics = topics_of(scheduler)
        is_measured = topics.max_bytes is not None
        if is_measured and topics.nbytes <= LARGEST_EVENT_BYTES:
            events = [topic.events for topic in topics.values()]
            histories += [history for history in events if history.is_packed]
        chosen, left = [], LARGEST_HISTORIES
        for history in histories:
            if len(history) <= left:
                chosen.append(history)
                left -= len(history)
        return chosen
