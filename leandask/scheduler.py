"""LeanScheduler, and install() for an existing scheduler."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import dask.config
from distributed import Scheduler

from leandask.extension import LeanExtension
from leandask.records.stream import RecordStream
from leandask.serving.dashboard import LazyDashboard, can_wait
from leandask.settings import config
from leandask.settings.retention import Retention


class LeanScheduler(Scheduler):
    """A scheduler whose histories are bounded, and whose events leave through logging.

    It replaces :class:`distributed.Scheduler`.

    Parameters
    ----------
    retention : Retention, mapping or None, optional
        Bounds of the histories. What it omits comes from ``leandask.retention``.
    silence_logs : int or None, optional
        Level of logging below which warnings of leandask are not shown on stderr, as
        for :class:`distributed.Worker`.
    *args, **kwargs
        As for :class:`distributed.Scheduler`.

    Raises
    ------
    TypeError, ValueError
        If a bound or a setting of leandask breaks its rule, or the event log can't be
        written. Nothing is started then.

    See Also
    --------
    install : makes another scheduler lean.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     bounds = {"events": 50}
    ...     async with LeanScheduler(
    ...         port=0, dashboard_address=":0", retention=bounds
    ...     ) as scheduler:
    ...         scheduler.log_event("greeting", "hello")
    ...         return scheduler.retention.events, len(scheduler.get_events("greeting"))
    >>> asyncio.run(main())
    (50, 1)
    """

    #: Bounds in force.
    retention: Retention
    #: Hands the records to logging. ``stream.stats()`` counts them.
    stream: RecordStream

    def __init__(
        self,
        *args: Any,
        retention: Retention | Mapping[str, Any] | None = None,
        silence_logs: int | None = None,
        **kwargs: Any,
    ) -> None:
        given, bounds = _checked(retention)
        if kwargs.get("blocked_handlers") is None:
            # Upstream looks it up below the class's name: distributed.leanscheduler.
            kwargs["blocked_handlers"] = dask.config.get(
                "distributed.scheduler.blocked-handlers", []
            )
        mode = config.read("dashboard")
        wanted = kwargs.get("dashboard")
        if wanted is None:
            wanted = bool(kwargs.get("dashboard_address"))
        is_lazy = wanted and mode == "lazy" and can_wait()
        if is_lazy or mode == "off":
            kwargs["dashboard"] = False
        super().__init__(*args, **kwargs)
        if is_lazy:
            LazyDashboard(self, kwargs.get("http_prefix", "/")).install()
        try:
            self.extensions["leandask"] = LeanExtension(
                self, given, bounds, silence_logs
            )
        except BaseException:
            self.http_server.stop()  # upstream has started it already
            raise

    async def start_unsafe(self) -> LeanScheduler:
        """Start as upstream does, and record the start."""
        await super().start_unsafe()
        self.extensions["leandask"].record_start()
        return self

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close as upstream does, and write out the records that wait."""
        given = inspect.signature(super().close).bind(*args, **kwargs).arguments
        try:
            await super().close(*args, **kwargs)
        finally:
            await self.extensions["leandask"].close(given.get("reason"))


def install(
    scheduler: Scheduler, retention: Retention | Mapping[str, Any] | None = None
) -> None:
    """Make a scheduler lean: bound its histories, and send its events to logging.

    The histories keep their entries as far as the bounds allow. Counts and
    subscriptions stay. Nothing happens to a scheduler that is lean already.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Running, or not started yet. It gets the attributes ``retention`` and
        ``stream``.
    retention : Retention, mapping or None, optional
        Bounds of the histories. What it omits comes from ``leandask.retention``.

    Raises
    ------
    TypeError, ValueError
        If a bound or a setting of leandask breaks its rule, or the event log can't be
        written. The scheduler stays as it was.

    Notes
    -----
    Call it on the scheduler's event loop.
    """
    if "leandask" not in scheduler.extensions:
        given, bounds = _checked(retention)
        scheduler.extensions["leandask"] = LeanExtension(scheduler, given, bounds)


def _checked(
    retention: Retention | Mapping[str, Any] | None,
) -> tuple[Retention, Retention]:
    """Check all settings; return the bounds as they were given, and those in force."""
    config.check()
    given = Retention.of(retention)
    return given, given.effective()
