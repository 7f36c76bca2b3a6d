"""Sampler: how a scheduler is at present, as records in its event log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes
from distributed.scheduler import ALL_TASK_STATES
from tornado.ioloop import PeriodicCallback

from leandask.guard.holders import count_states
from leandask.records.schema import SAMPLE

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.settings.memorylimit import MemoryLimit

#: States of tasks that are counted; no task stays in the others.
STATES = sorted(ALL_TASK_STATES - {"forgotten"})
#: Prefixes up to which their tasks are counted by state: 0.3 µs for each with tasks.
MOST_PREFIXES = 2000


class Sampler:
    """Records a sample every few seconds: for the event log, so only if there is one.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    interval : float
        Seconds between two samples.
    """

    def __init__(self, scheduler: Scheduler, interval: float) -> None:
        self.scheduler = scheduler
        self.interval = interval

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: once in {self.interval:g} s>"

    def install(self) -> None:
        """Take samples while the scheduler runs."""
        callback = PeriodicCallback(self.sample, self.interval * 1000)
        self.scheduler.periodic_callbacks["leandask-samples"] = callback
        if self.scheduler.listeners:  # else upstream starts it with its own callbacks
            callback.start()

    def sample(self) -> None:
        """Record a sample; never raises."""
        stream = self.scheduler.extensions["leandask"].stream
        try:
            fields = self._fields()
            limit = fields["limit"]
            message = (
                f"RSS {format_bytes(fields['rss'])}"
                f"{f' of {format_bytes(limit)}' if limit else ''}, "
                f"{fields['tasks']} tasks, {fields['workers']} workers"
            )
            stream.life(SAMPLE, message, fields, force=False)
        except Exception:
            stream.count_error()

    def _fields(self) -> dict[str, Any]:
        """Return the fields of a sample, rounded: they take less when gzipped."""
        scheduler = self.scheduler
        extension = scheduler.extensions["leandask"]
        limit: MemoryLimit | None = extension.guard.limit
        states = _count_states(scheduler)
        return {
            "interval": self.interval,
            "rss": scheduler.monitor.get_process_memory(),
            "limit": limit and limit.nbytes,
            "workers": len(scheduler.workers),
            "clients": len([c for c in scheduler.clients if c != "fire-and-forget"]),
            "tasks": len(scheduler.tasks),
            **{f"tasks_{state.replace('-', '_')}": n for state, n in states.items()},
            "cpu_seconds": round(time.process_time(), 1),
            "gc_seconds": round(extension.collector.meter.seconds, 1),
            "longest_lateness": round(
                extension.health.take_longest_lateness("sample"), 2
            ),
            "dropped_total": extension.stream.queue.n_dropped,
        }


def _count_states(scheduler: Scheduler) -> dict[str, int | None]:
    """Count the tasks in each state; None where they have too many prefixes."""
    if len(scheduler.task_prefixes) > MOST_PREFIXES:
        return dict.fromkeys(STATES)
    counts = count_states(scheduler)
    return {state: counts[state] for state in STATES}
