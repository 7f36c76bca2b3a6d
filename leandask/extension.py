"""LeanExtension: what leandask adds to a scheduler."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

from distributed.utils import recursive_to_dict

from leandask import _compat
from leandask.guard import graphs
from leandask.histories import bounds as histories
from leandask.housekeeping import stealing
from leandask.housekeeping.giveback import GiveBack
from leandask.housekeeping.process import trim_heap, warn_of_allocator
from leandask.housekeeping.rounds import Housekeeping
from leandask.peers import workerlog
from leandask.peers.peers import Peers
from leandask.peers.suspects import Suspects
from leandask.records.loggers import hold_loggers
from leandask.records.schema import RETENTION_SET
from leandask.records.stream import RecordStream
from leandask.records.text import name_of
from leandask.serving.health import Health
from leandask.serving.life import record_start, record_stop
from leandask.serving.page import add_routes
from leandask.serving.sampler import Sampler
from leandask.serving.watchers import Watchers
from leandask.settings import config
from leandask.settings.retention import Retention, in_force
from leandask.tasks import erred, specs
from leandask.tasks.collector import Collector
from leandask.tasks.intake import Intake
from leandask.tasks.leantasks import LeanTasks
from leandask.tasks.taskruns import TaskRuns

if TYPE_CHECKING:
    from collections.abc import Container
    from contextlib import ExitStack

    from distributed import Scheduler
    from distributed.comm import Comm

    from leandask.eventlog.eventlog import EventLog
    from leandask.serving.history.answers import Answers
    from leandask.serving.history.search import Answer
    from leandask.serving.report import Report

logger = logging.getLogger("leandask")


class LeanExtension:
    """Gives a scheduler its bounded histories and its stream, until it closes.

    It is one of the scheduler's extensions, and lives as long.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    given : Retention
        The bounds that the user gave.
    bounds : Retention
        The bounds in force: what :meth:`Retention.effective` makes of these. The
        scheduler's ``retention`` holds them from now on; everything reads them there.
    silence_logs : int or None, optional
        Level below which lines of leandask are not shown on stderr.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        given: Retention,
        bounds: Retention,
        silence_logs: int | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.given = given
        transitions, workers = config.read("stream.transitions"), workerlog.level()
        #: Whether each run of a task is recorded.
        self.records_tasks = tasks = _records_tasks()
        with hold_loggers(transitions, silence_logs, workers, tasks) as held:
            self.stream = RecordStream(scheduler.id, scheduler.loop.add_callback)
            self.event_log = _open_event_log(scheduler.id)
            self._held = held.pop_all()  # they stay until it closes
        self._closing: asyncio.Task[None] | None = None
        self._answers: Answers | None = None
        try:
            self._install(bounds)
        except BaseException:
            _close_now(self.stream, self.event_log, self._held)
            raise

    def _install(self, bounds: Retention) -> None:
        """Replace upstream's histories; add handlers, routes and housekeeping."""
        scheduler: Any = self.scheduler
        scheduler.retention, scheduler.stream = bounds, self.stream
        histories.install(scheduler, self.stream)
        self.tasks = LeanTasks(scheduler)
        self.tasks.install()
        if self.tasks.lean:
            specs.install(scheduler)
            erred.install(scheduler)
        stealing.install(scheduler)
        Peers(scheduler).install()
        self.health = Health(scheduler, self.stream)
        self.health.install()
        suspects = Suspects(scheduler, self.stream)
        suspects.install()
        if self.records_tasks:
            TaskRuns(scheduler, self.stream, suspects.workers_lost).install()
        self.collector = Collector(scheduler)
        self.intake = Intake(scheduler, self.collector, trim_heap)
        self.give_back = GiveBack(scheduler, self.stream, self.collector)
        self.guard = graphs.install(scheduler, self.stream, self.give_back)
        self.housekeeping = Housekeeping(scheduler, self.give_back)
        jobs = self.housekeeping.jobs
        if self.event_log is not None:
            jobs.append(self.event_log.reattach)
            if interval := config.read("stream.sample-interval"):
                Sampler(scheduler, interval).install()
        self.worker_log = workerlog.install(scheduler, self.stream, jobs)
        scheduler.handlers["leandask_give_back"] = self.give_back.ask
        scheduler.handlers["leandask_history"] = self.history
        scheduler.handlers["leandask_report"] = self.report
        scheduler.handlers["leandask_set_retention"] = self.set_retention
        self.watchers = Watchers(scheduler)
        add_routes(scheduler)
        # For a scheduler that is never closed: runs when it is collected, or at exit.
        weakref.finalize(scheduler, _close_now, self.stream, self.event_log, self._held)
        logger.info("Retention: %s", bounds)
        config.warn_of_unknown_keys()
        warn_of_allocator()
        # Upstream starts and stops it with its own callbacks.
        scheduler.periodic_callbacks["leandask"] = self.housekeeping.callback
        if scheduler.listeners:  # it has started already
            self.housekeeping.callback.start()
            self.record_start()

    def _to_dict(self, *, exclude: Container[str] = ()) -> Any:
        """What a cluster dump shows."""
        bounds = in_force(self.scheduler)
        state = {"retention": str(bounds), "stream": self.stream.stats()}
        return recursive_to_dict(state, exclude=exclude)

    # They import what they need at the first call: most schedulers never get one.

    def report(self) -> Report:
        """What the scheduler holds and does."""
        from leandask.serving.report import report_of

        return report_of(self.scheduler)

    async def history(
        self,
        comm: Comm,
        limit: int,
        filters: dict[str, Any],
        schedulers: str = "own",
        client: str | None = None,
    ) -> Answer:
        """Read the event log: see :class:`Answers`."""
        if self._answers is None:
            from leandask.serving.history.answers import Answers

            self._answers = Answers(self.scheduler, self.stream, self.event_log)
        asker = name_of(client or comm.peer_address)  # a client may say anything
        return await self._answers.find(
            limit, filters, schedulers, asker, is_gone=comm.closed
        )

    def set_retention(self, bounds: dict[str, Any]) -> dict[str, int | None]:
        """Set other bounds at once, and record it.

        Parameters
        ----------
        bounds : dict
            By name, as for :meth:`Retention.of`. The others stay as they are.

        Returns
        -------
        dict
            All bounds in force, by name.

        Raises
        ------
        TypeError, ValueError
            If a bound breaks its rule. No bound is changed then.
        """
        # Not the bounds in force: a share of a budget is not a bound that the user set.
        given = self.given.replaced(bounds)
        scheduler: Any = self.scheduler
        scheduler.retention = given.effective()
        self.given = given
        histories.resize(scheduler)
        retention = in_force(scheduler)
        message = f"retention set: {retention}"
        fields = {"retention": str(retention)}
        self.stream.life(RETENTION_SET, message, fields, force=False)
        return retention.as_dict()

    def teardown(self) -> None:
        """Close once the scheduler has closed; upstream calls this while it closes."""
        self.stream.is_stopping = True
        self._closing = asyncio.create_task(self._close_last())

    def record_start(self) -> None:
        """Emit the record of the start. The scheduler must have an address."""
        record_start(self.stream, self.scheduler, self.guard.limit)

    async def close(self, reason: str | None = None) -> None:
        """Record the end, write out what waits, and close the event log.

        Parameters
        ----------
        reason : str or None, optional
            Why the scheduler closes, if it is known.
        """
        uptime = time.time() - self.scheduler.time_started
        deadline = time.monotonic() + self.stream.close_timeout
        record_stop(
            self.stream,
            self.event_log,
            reason,
            uptime_seconds=uptime,
            transitions_total=self.scheduler.transition_counter,
        )
        try:
            if self._answers is not None:
                await self._answers.close()
            await self.stream.aclose(self.event_log)
            if self.event_log is not None and self.event_log.archive is not None:
                await self.event_log.archive.aend(deadline)
        finally:  # also if the event loop ends first and cancels this
            _close_now(self.stream, self.event_log, self._held)
            self.collector.close()
            _compat.forget_handlers()

    async def _close_last(self) -> None:
        try:
            await self.scheduler.finished()
        finally:
            await self.close()


def _records_tasks() -> bool:
    """Whether runs of tasks are recorded; auto: where there is an event log."""
    tasks: bool | None = config.read("stream.tasks")
    return config.has_event_log() if tasks is None else tasks


def _open_event_log(scheduler_id: str) -> EventLog | None:
    if not config.has_event_log():
        return None
    from leandask.eventlog.eventlog import EventLog  # most schedulers have none

    return EventLog.of(scheduler_id)


def _close_now(
    stream: RecordStream, event_log: EventLog | None, held: ExitStack
) -> None:
    with held:  # until what is lost at the end was reported
        record_stop(stream, event_log, "not closed")  # unless it is recorded already
        try:
            stream.close(event_log)
        finally:
            if event_log is not None:
                event_log.detach(stream.close_timeout)
