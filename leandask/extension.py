"""LeanExtension: what leandask adds to a scheduler."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

from distributed.spans import SpansSchedulerExtension
from distributed.utils import recursive_to_dict

from leandask import _compat
from leandask._versions import versions
from leandask.eventlog.eventlog import EventLog
from leandask.histories.caches import bound_key_caches
from leandask.histories.departed import Departed
from leandask.histories.history import (
    Connections,
    ErredTasks,
    History,
    Plugins,
    TransitionLog,
)
from leandask.histories.locks import bound_locks
from leandask.histories.loglines import keep_log_lines
from leandask.histories.monitor import bound_samples
from leandask.histories.prefixes import TaskPrefixes, WorkerMetrics
from leandask.histories.profile import bound_profile
from leandask.histories.spans import LeanSpans
from leandask.histories.topics import LeanBroker
from leandask.housekeeping.giveback import GiveBack
from leandask.housekeeping.rounds import Housekeeping
from leandask.housekeeping.stealing import bound_stealing
from leandask.records.loggers import TRANSITIONS, HeldLevel
from leandask.records.schema import RETENTION_SET, STARTED, STOPPED
from leandask.records.stream import RecordStream
from leandask.serving.page import add_routes
from leandask.settings import config

if TYPE_CHECKING:
    from collections.abc import Container

    from distributed import Scheduler

    from leandask.serving.answers import Answer, Answers
    from leandask.settings.retention import Retention

logger = logging.getLogger("leandask")


class LeanExtension:
    """Gives a scheduler its bounded histories and its stream, until it closes.

    It is one of the scheduler's extensions, and has its life.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    given : Retention
        Bounds as the user gave them.
    retention : Retention
        Bounds in force: what :meth:`Retention.effective` makes of these.
    """

    def __init__(
        self, scheduler: Scheduler, given: Retention, retention: Retention
    ) -> None:
        self.scheduler = scheduler
        self.given = given
        self.retention = retention
        self.stream = RecordStream(scheduler.id, scheduler.loop.add_callback)
        self.event_log = EventLog.of(scheduler.id)
        self._level: HeldLevel | None = None
        if config.read("stream.transitions"):
            self._level = HeldLevel(TRANSITIONS, logging.DEBUG)
        self._stopped = False
        self._closing: asyncio.Task[None] | None = None
        self._answers: Answers | None = None
        try:
            self._take_over(scheduler, retention)
        except BaseException:
            _close_now(self.stream, self.event_log, self._level)
            raise

    def _take_over(self, scheduler: Scheduler, retention: Retention) -> None:
        """Replace what holds the scheduler's histories."""
        self.give_back = GiveBack(scheduler, self.stream)
        scheduler.handlers["leandask_give_back"] = self.give_back.ask
        scheduler.handlers["leandask_history"] = self.history
        scheduler.handlers["leandask_report"] = self.report
        scheduler.handlers["leandask_set_retention"] = self.set_retention
        broker = LeanBroker(scheduler, retention, self.stream)
        _compat.set_broker(scheduler, broker)
        scheduler.transition_log = TransitionLog(
            scheduler.transition_log, retention.transition_log, self.stream.transition
        )
        scheduler.computations = History(scheduler.computations, retention.computations)
        scheduler.erred_tasks = ErredTasks(
            scheduler.erred_tasks, retention.erred_tasks, retention.error_length
        )
        scheduler.plugins = Plugins(
            scheduler.plugins, retention.task_stream, retention.messages
        )
        scheduler.stream_comms = Connections(scheduler.stream_comms, retention.messages)
        scheduler.client_comms = Connections(
            scheduler.client_comms, retention.messages, on_leave=broker.forget
        )
        keep_log_lines(scheduler, retention.log_records)
        scheduler.task_prefixes = TaskPrefixes(scheduler, retention.task_prefixes)
        metrics: Any = WorkerMetrics(
            scheduler.cumulative_worker_metrics, retention.task_prefixes
        )
        scheduler.cumulative_worker_metrics = metrics
        if type(scheduler.extensions.get("spans")) is SpansSchedulerExtension:
            scheduler.extensions["spans"] = LeanSpans(
                scheduler,
                retention.spans,
                retention.task_prefixes,
                on_graph=self.give_back.note_peak,
            )
        if "semaphores" in scheduler.extensions:
            bound_locks(scheduler.extensions["semaphores"], retention.locks)
        departed = Departed(scheduler, retention.departed)
        _compat.set_background_tasks(scheduler, departed)
        bound_stealing(scheduler)
        bound_samples(scheduler.monitor, retention.samples)
        bound_profile(scheduler, retention.profile)
        bound_key_caches(retention.key_cache)
        self.housekeeping = Housekeeping(scheduler, retention, self.give_back, departed)
        if self.event_log is not None:
            self.housekeeping.jobs.append(self.event_log.reattach)
        add_routes(scheduler)

        lean: Any = scheduler
        lean.retention, lean.stream = retention, self.stream
        # For a scheduler that is never closed: when it is collected, or at exit.
        weakref.finalize(
            scheduler, _close_now, self.stream, self.event_log, self._level
        )
        logger.info("Retention: %s", retention)
        config.tell_unknown()
        # Upstream starts it with its own where it starts, and stops it.
        scheduler.periodic_callbacks["leandask"] = self.housekeeping.callback
        if scheduler.listeners:
            self.housekeeping.callback.start()
            self.record_start()

    def _to_dict(self, *, exclude: Container[str] = ()) -> Any:
        """What a cluster dump shows."""
        state = {"retention": str(self.retention), "stream": self.stream.stats()}
        return recursive_to_dict(state, exclude=exclude)

    # What follows is imported where somebody asks for it, as most schedulers are not.

    def report(self) -> dict[str, Any]:
        """What the scheduler holds and how it fares."""
        from leandask.serving.report import report_of

        return report_of(self.scheduler)

    async def history(self, limit: int, filters: dict[str, Any]) -> Answer:
        """What happened, out of the event log: see :class:`Answers`."""
        if self._answers is None:
            from leandask.serving.answers import Answers

            self._answers = Answers(self.scheduler, self.stream, self.event_log)
        return await self._answers.find(limit, filters)

    def set_retention(self, bounds: dict[str, Any]) -> dict[str, Any]:
        """Set other bounds, at once, and record it.

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
            If a bound is no such value. All stay as they are then.
        """
        from leandask.histories.rebound import rebound

        # Not from those in force: a share of a budget is no bound of the user's own.
        given = self.given.replaced(bounds)
        retention = given.effective()
        rebound(self.scheduler, retention)
        self.given = given
        self.retention = self.housekeeping.retention = retention
        lean: Any = self.scheduler
        lean.retention = retention
        message = f"retention set: {retention}"
        fields = {"retention": str(retention)}
        self.stream.life(RETENTION_SET, message, fields, force=False)
        return retention.as_dict()

    def teardown(self) -> None:
        """Upstream's call while it closes: wait for the end of it, then close."""
        self._closing = asyncio.create_task(self._close_last())

    def record_start(self) -> None:
        """Emit the record of a scheduler that has an address."""
        address = self.scheduler.address
        fields = {
            "address": address,
            "retention": str(self.retention),
            **{f"{name}_version": number for name, number in versions().items()},
        }
        message = f"scheduler started at {address}"
        self.stream.life(STARTED, message, fields)

    async def close(self, reason: str | None = None) -> None:
        """Record the end, write out what waits, and close the event log.

        Parameters
        ----------
        reason : str or None, optional
            Why the scheduler closes, if it is known.
        """
        if not self._stopped:
            self._stopped = True
            self.stream.report_dropped()
            fields = {
                "reason": reason,
                "uptime_seconds": time.time() - self.scheduler.time_started,
                "transitions_total": self.scheduler.transition_counter,
                "records_total": self.stream.queue.emitted,
                "dropped_total": self.stream.queue.n_dropped,
            }
            message = f"scheduler stopped: {reason or 'reason unknown'}"
            self.stream.life(STOPPED, message, fields)
        try:
            await self.stream.aclose()
        finally:  # also where the event loop ends before we do, and cancels us
            _close_now(self.stream, self.event_log, self._level)
            _compat.forget_handlers()

    async def _close_last(self) -> None:
        try:
            await self.scheduler.finished()
        finally:
            await self.close()


def _close_now(
    stream: RecordStream, event_log: EventLog | None, level: HeldLevel | None
) -> None:
    try:
        stream.close()
    finally:
        if level is not None:
            level.release()
        if event_log is not None:
            event_log.detach()
