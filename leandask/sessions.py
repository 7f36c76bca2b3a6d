"""Sessions: the pages of the dashboard that are open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Scheduler


def has_sessions(scheduler: Scheduler) -> bool:
    """Whether a page of the dashboard is open, or was until some seconds ago.

    Parameters
    ----------
    scheduler : distributed.Scheduler

    Returns
    -------
    bool
    """
    tornado = sys.modules.get("bokeh.server.tornado")
    if tornado is None:  # no page was ever asked for
        return False
    return any(
        app.get_sessions(path)
        for app in scheduler.http_application.applications
        if isinstance(app, tornado.BokehTornado)
        for path in app.app_paths
    )
