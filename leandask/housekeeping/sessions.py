"""Sessions: the pages of the dashboard that are open."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.server.session import ServerSession
    from distributed import Scheduler


def sessions(scheduler: Scheduler) -> Iterator[ServerSession]:
    """Give the sessions of the pages that are open, or were until some seconds ago.

    Parameters
    ----------
    scheduler : distributed.Scheduler

    Yields
    ------
    bokeh.server.session.ServerSession
    """
    tornado = sys.modules.get("bokeh.server.tornado")
    if tornado is None:  # no page was ever asked for
        return
    for app in scheduler.http_application.applications:
        if isinstance(app, tornado.BokehTornado):
            for path in app.app_paths:
                yield from app.get_sessions(path)


def has_sessions(scheduler: Scheduler) -> bool:
    """Whether a page of the dashboard is open, or was until some seconds ago."""
    return any(True for _ in sessions(scheduler))
