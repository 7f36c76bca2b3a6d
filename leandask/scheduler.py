"""LeanScheduler, and install() for a scheduler that already runs: wiring only."""

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

    It takes the place of :class:`distributed.Scheduler`.

    Parameters
    ----------
    retention : Retention, mapping or None, optional
        Bounds of the histories. What it omits comes from ``leandask.retention``.
    *args, **kwargs
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
    #: The way of the events to logging; ``stream.stats()`` counts them.
    stream: RecordStream

    def __init__(
        self,
        *args: Any,
        retention: Retention | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        given, bounds = _checked(retention)
        if kwargs.get("blocked_handlers") is None:
            # Server looks its setting up below the lower-case name of its class.
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
        self.extensions["leandask"] = LeanExtension(self, given, bounds)

    async def start_unsafe(self) -> Any:
        """Start as upstream does, and record it."""
        await super().start_unsafe()
        self.extensions["leandask"].record_start()
        return self

    async def close(self, *args: Any, **kwargs: Any) -> None:
        """Close as upstream does, and write out what waits in the stream."""
        given = inspect.signature(super().close).bind(*args, **kwargs).arguments
        try:
            await super().close(*args, **kwargs)
        finally:
            await self.extensions["leandask"].close(given.get("reason"))


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
        given, bounds = _checked(retention)
        scheduler.extensions["leandask"] = LeanExtension(scheduler, given, bounds)


def _checked(
    retention: Retention | Mapping[str, Any] | None,
) -> tuple[Retention, Retention]:
    """The bounds that are given and those in force, where all settings are right."""
    config.check()
    given = Retention.of(retention)
    return given, given.effective()
