"""LeanScheduler, and install() for a scheduler that already runs: wiring only."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dask.config
from distributed import Scheduler
from distributed.utils import recursive_to_dict

from leandask import _compat, config
from leandask.broker import LeanBroker
from leandask.eventlog import EventLog
from leandask.histories import (
    Connections,
    ErredTasks,
    History,
    Plugins,
    keep_log_lines,
)
from leandask.retention import Retention
from leandask.stream import RecordStream

if TYPE_CHECKING:
    from collections.abc import Container

logger = logging.getLogger("leandask")


class LeanScheduler(Scheduler):
    """A scheduler whose histories are bounded, and whose events leave through logging.

    It takes the place of :class:`distributed.Scheduler`.

    Parameters
    ----------
    retention : Retention, mapping or None, optional
        Bounds of the histories. What it omits comes from ``leandask.retention``.
    **kwargs
        As for :class:`distributed.Scheduler`.

    Raises
    ------
    TypeError, ValueError
        If a bound or a setting of leandask is no such value. Nothing is started then.

    See Also
    --------
    install : does the same to a scheduler that already runs.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     async with LeanScheduler(port=0, retention={"events": 50}) as scheduler:
    ...         scheduler.log_event("greeting", "hello")
    ...         return scheduler.retention.events, len(scheduler.get_events("greeting"))
    >>> asyncio.run(main())
    (50, 1)
    """

    #: Bounds in force.
    retention: Retention
    #: The way of the events to logging; ``stream.stats()`` counts them.
    stream: RecordStream

    def __init__(
        self, *, retention: Retention | Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        retention = Retention.of(retention)
        config.check()
        if kwargs.get("blocked_handlers") is None:
            # Server looks its setting up below the lower-case name of its class.
            kwargs["blocked_handlers"] = dask.config.get(
                "distributed.scheduler.blocked-handlers", []
            )
        super().__init__(**kwargs)
        install(self, retention)

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close as upstream does, and write out what waits in the stream."""
        try:
            await super().close(*args, **kwargs)
        finally:
            await self.extensions["leandask"].close()


def install(
    scheduler: Scheduler, retention: Retention | Mapping[str, Any] | None = None
) -> None:
    """Make a scheduler lean: bound its histories, and send its events to logging.

    What the histories hold moves over, as far as the bounds allow; counts and
    subscriptions stay. A scheduler that is lean already is left as it is.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Running, or not yet started. It gets the attributes ``retention`` and
        ``stream``.
    retention : Retention, mapping or None, optional
        Bounds of the histories. What it omits comes from ``leandask.retention``.

    Raises
    ------
    TypeError, ValueError
        If a bound or a setting of leandask is no such value. The scheduler is left as
        it was.

    Notes
    -----
    To be called on the scheduler's event loop.
    """
    if "leandask" not in scheduler.extensions:
        config.check()
        bounds = Retention.of(retention).effective()
        scheduler.extensions["leandask"] = LeanExtension(scheduler, bounds)


class LeanExtension:
    """What leandask adds to a scheduler, among its extensions.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    retention : Retention
        Bounds in force.
    """

    def __init__(self, scheduler: Scheduler, retention: Retention) -> None:
        self.scheduler = scheduler
        self.retention = retention
        self.stream = RecordStream(scheduler.id, scheduler.loop.add_callback)
        path = config.read("event-log.path")
        self.event_log = EventLog(path, scheduler.id) if path else None
        self._closing: asyncio.Task[None] | None = None

        broker = LeanBroker(scheduler, retention, self.stream)
        _compat.set_broker(scheduler, broker)
        scheduler.transition_log = History(
            scheduler.transition_log, retention.transition_log
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

        lean: Any = scheduler
        lean.retention, lean.stream = retention, self.stream
        # For a scheduler that is never closed: when it is collected, or at exit.
        weakref.finalize(scheduler, _close_now, self.stream, self.event_log)
        logger.info("Retention: %s", retention)

    def _to_dict(self, *, exclude: Container[str] = ()) -> Any:
        """What a cluster dump shows."""
        state = {"retention": str(self.retention), "stream": self.stream.stats()}
        return recursive_to_dict(state, exclude=exclude)

    def teardown(self) -> None:
        """Upstream's call while it closes: wait for the end of it, then close."""
        self._closing = asyncio.create_task(self._close_last())

    async def _close_last(self) -> None:
        try:
            await self.scheduler.finished()
        finally:
            await self.close()

    async def close(self) -> None:
        """Write out what waits, and close the event log."""
        try:
            await self.stream.aclose()
        finally:  # also where the event loop ends before we do, and cancels us
            _close_now(self.stream, self.event_log)


def _close_now(stream: RecordStream, event_log: EventLog | None) -> None:
    stream.close()
    if event_log is not None:
        event_log.close()
