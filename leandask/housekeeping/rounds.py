"""Housekeeping: forgetting now and then what upstream never forgets."""

from __future__ import annotations

import asyncio
import gc
import linecache
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import distributed.scheduler
import distributed.semaphore
from tornado.ioloop import PeriodicCallback

from leandask import _compat
from leandask._throttle import Throttle
from leandask.histories import bounds, departed
from leandask.housekeeping import leftovers
from leandask.housekeeping.giveback import GiveBack
from leandask.housekeeping.pages import forget_closed_graphs, forget_undrawn
from leandask.housekeeping.process import trim
from leandask.housekeeping.sessions import has_sessions
from leandask.housekeeping.uploads import forget_uploads
from leandask.settings import config

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.diagnostics.progress import GroupTiming


logger = logging.getLogger("leandask")

#: Bins of a second that the page of progress by group shows.
TIMING_BINS = 180
#: What makes a collection of garbage worth while: entries of workers and clients that
#: left, of which each leaves about 10 kB in cycles, or seconds since the last one, as
#: heartbeats leave some too. And blocks of memory in use up to which it takes less than
#: 20 ms of the event loop.
DEPARTED, GARBAGE_SECONDS, SMALL_HEAP = 20, 60.0, 500_000
#: Seconds between two trims of the heap, and at least so many times what the last one
#: took, which is 0.5 ms for 50 MiB; RSS in bytes up to which it is tried.
TRIM_SECONDS, TRIM_TIMES, TRIM_RSS = 60.0, 10_000, 512 * 2**20
#: Warnings of one of upstream's modules that Python remembers to have shown, 255 bytes
#: each.
WARNINGS = 1000
#: Seconds between two warnings of the same kind.
WARN_SECONDS = 60.0


class Housekeeping:
    """Forgets now and then what nothing tells us of when it is gone.

    Parameters
    ----------
    scheduler : Scheduler
    give_back : GiveBack
    """

    #: Rounds done, and the longest that one held the event loop, in seconds.
    rounds: int
    longest_pause: float
    #: Exceptions of ours: each ends its job, for this round.
    errors: int

    def __init__(
        self,
        scheduler: Scheduler,
        give_back: GiveBack,
    ) -> None:
        self.scheduler = scheduler
        self.give_back = give_back
        self.departed = departed.departed_of(scheduler)
        self._departed_before = self.departed.seen
        self._collected_at = time.monotonic()
        self._trim_at = self._collected_at + TRIM_SECONDS
        self.rounds = self.errors = 0
        self.longest_pause = 0.0
        self._warning = Throttle(WARN_SECONDS)
        #: Each gives way to others where it yields.
        self.jobs: list[Callable[[], Iterator[None] | None]] = [
            partial(leftovers.forget_departed, scheduler),
            partial(leftovers.forget_dead_groups, scheduler),
            partial(leftovers.release_fired, scheduler),
            partial(leftovers.forget_connections, scheduler),
            partial(leftovers.forget_queues, scheduler),
            partial(leftovers.forget_datasets, scheduler),
            self.trim_group_timing,
            partial(forget_closed_graphs, scheduler),
            partial(forget_undrawn, scheduler),
            partial(forget_uploads, scheduler),
            self.compact_queue,
            forget_warnings,
            _compat.forget_handlers,
            *bounds.forget_jobs(scheduler),
            self.collect_garbage,
            self.trim_heap,
            forget_source_lines,
        ]
        interval = config.read("housekeeping.interval")
        self.callback = PeriodicCallback(self.run, interval * 1000, jitter=0.1)

    async def run(self) -> None:
        """Do every job once, in short slices, and give memory back where it is due."""
        for job in self.jobs:
            try:
                begun = time.monotonic()
                for _ in job() or ():
                    begun = self._note_pause(begun)
                    await asyncio.sleep(0)
                    begun = time.monotonic()
                self._note_pause(begun)
            except Exception:
                self._note_error()
            await asyncio.sleep(0)
        try:
            self.give_back.look()
            if self.give_back.is_due:
                await self.give_back.run()
        except Exception:
            self._note_error()
        self.rounds += 1

    def _note_error(self) -> None:
        self.errors += 1
        if self._warning.acquire():
            logger.warning("Housekeeping failed", exc_info=True)

    def _note_pause(self, begun: float) -> float:
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - begun)
        return now

    def trim_group_timing(self) -> None:
        """Keep of the progress by group what its page shows; none without a page."""
        timing: GroupTiming | None = self.scheduler.plugins.get("group-timing")  # type: ignore[assignment]
        if timing is None:
            return
        if not has_sessions(self.scheduler):
            self.scheduler.remove_plugin(name=timing.name)
            return
        surplus = len(timing.time) - TIMING_BINS
        if surplus > 0:
            for series in (timing.time, timing.nthreads, *timing.compute.values()):
                del series[:surplus]

    def collect_garbage(self) -> None:
        """Collect what workers, clients and heartbeats leave behind in cycles.

        Upstream's thresholds let it wait until two million objects were made: for hours
        in an idle scheduler, and much of one's growth where workers come and go.
        """
        left = self.departed.seen - self._departed_before
        since = time.monotonic() - self._collected_at
        if left < DEPARTED and since < GARBAGE_SECONDS:
            return
        if sys.getallocatedblocks() <= SMALL_HEAP:
            self._departed_before = self.departed.seen
            self._collected_at = time.monotonic()
            gc.collect()

    def trim_heap(self) -> None:
        """Give back the pages of malloc's that are free between others in use.

        They are 1 to 2 MiB after a few minutes of mixed load.
        """
        begun = time.monotonic()
        if begun < self._trim_at:
            return
        took = 0.0
        if self.scheduler.monitor.get_process_memory() <= TRIM_RSS:
            trim()
            took = time.monotonic() - begun
        self._trim_at = begun + max(TRIM_SECONDS, TRIM_TIMES * took)

    def compact_queue(self) -> None:
        """Forget the tasks that left the queue otherwise than by its top."""
        _compat.compact_heap(self.scheduler.queued)


def forget_warnings() -> None:
    """Forget which warnings were shown: upstream names keys and leases in them."""
    for module in (distributed.scheduler, distributed.semaphore):
        shown = vars(module).get("__warningregistry__", {})
        if len(shown) > WARNINGS:
            shown.clear()


def forget_source_lines() -> None:
    """Forget the lines of files that the last tracebacks showed: 40 kB and more a file.

    They are read anew for the next one. What is not in a file, as the cells of a
    notebook, stays.
    """
    cache = linecache.cache
    for name, entry in [*cache.items()]:  # other threads add to it
        if len(entry) == 4 and entry[1]:
            cache.pop(name, None)
