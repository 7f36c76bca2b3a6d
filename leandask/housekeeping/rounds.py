"""Housekeeping: rounds that forget what upstream keeps forever."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from tornado.ioloop import PeriodicCallback

from leandask import _compat
from leandask._throttle import Throttle
from leandask.histories import bounds
from leandask.histories.departed import departed_of
from leandask.housekeeping import leftovers, pages, process, stealing
from leandask.peers import levels
from leandask.settings import config

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.housekeeping.giveback import GiveBack

logger = logging.getLogger("leandask")

#: Seconds between two warnings of failed jobs.
WARN_SECONDS = 60.0

#: Returns None, or yields where other tasks of the event loop may run.
Job = Callable[[], Iterator[None] | None]


class Housekeeping:
    """Forgets, every few seconds, what upstream does not report as gone."""

    #: Rounds done.
    rounds: int
    #: Longest time that a job held the event loop, in seconds.
    longest_pause: float
    #: Exceptions in jobs. Each ends its job for that round.
    errors: int
    #: What a round does, in this order.
    jobs: list[Job]

    def __init__(self, scheduler: Scheduler, give_back: GiveBack) -> None:
        self.scheduler = scheduler
        self.give_back = give_back
        self.rounds = self.errors = 0
        self.longest_pause = 0.0
        self._warning = Throttle(WARN_SECONDS)
        garbage = process.GarbageCollector(
            departed_of(scheduler), give_back.collector, lambda: not give_back.is_busy
        )
        heap = process.HeapTrimmer(scheduler.monitor.get_process_memory)
        self.jobs = [
            # What is left of workers, tasks, names and files that are gone.
            partial(stealing.forget_gone, scheduler),
            partial(levels.forget_empty, scheduler),
            partial(leftovers.forget_bandwidths, scheduler),
            partial(leftovers.forget_dead_groups, scheduler),
            partial(leftovers.forget_types, scheduler),
            partial(leftovers.forget_resources, scheduler),
            partial(leftovers.release_fired, scheduler),
            partial(leftovers.compact_queue, scheduler),
            partial(leftovers.forget_connections, scheduler),
            partial(leftovers.forget_queues, scheduler),
            partial(leftovers.forget_datasets, scheduler),
            partial(leftovers.forget_uploads, scheduler),
            # What pages of the dashboard keep.
            partial(pages.trim_group_timing, scheduler),
            partial(pages.forget_closed_graphs, scheduler),
            partial(pages.forget_undrawn, scheduler),
            # Histories that are not bounded when an entry is added.
            *bounds.forget_jobs(scheduler),
            # The process and its memory.
            _compat.forget_handlers,
            process.forget_functions,
            process.forget_warnings,
            process.forget_source_lines,
            garbage.collect_if_due,
            heap.trim_if_due,
        ]
        interval = config.read("housekeeping.interval")
        self.callback = PeriodicCallback(self.run, interval * 1000, jitter=0.1)

    async def run(self) -> None:
        """Do every job once, in short slices, and give memory back if that is due."""
        for job in self.jobs:
            try:
                begun = time.monotonic()
                for _ in job() or ():
                    self._note_pause(begun)
                    await asyncio.sleep(0)
                    begun = time.monotonic()
                self._note_pause(begun)
            except Exception:
                self._note_error()
            await asyncio.sleep(0)
        try:
            self.give_back.note_load()
            if self.give_back.is_due:
                await self.give_back.run()
        except Exception:
            self._note_error()
        self.rounds += 1

    def _note_error(self) -> None:
        self.errors += 1
        if self._warning.acquire():
            logger.warning("Housekeeping failed", exc_info=True)

    def _note_pause(self, begun: float) -> None:
        self.longest_pause = max(self.longest_pause, time.monotonic() - begun)
