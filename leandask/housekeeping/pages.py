"""Graphs: what pages of the graph of tasks keep that nobody sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import SchedulerPlugin

from leandask import _compat
from leandask.housekeeping.sessions import sessions

if TYPE_CHECKING:
    from distributed import Scheduler

#: A plugin that does nothing.
_NOTHING = SchedulerPlugin()


def forget_closed_graphs(scheduler: Scheduler) -> None:
    """Forget the graphs of closed pages, which grow with each transition.

    Upstream takes them out by their names once garbage is collected, so that something
    has to be there.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    """
    documents = (session.document for session in sessions(scheduler))
    for name in _compat.get_closed_layouts(scheduler, documents):
        scheduler.plugins[name] = _NOTHING


def forget_undrawn(scheduler: Scheduler) -> None:
    """Forget what open pages did not draw, as the scheduler's tasks are too many.

    Upstream keeps each transition until they are fewer, at 100 bytes. Then the page
    draws all tasks anew.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    """
    documents = (session.document for session in sessions(scheduler))
    _compat.drop_undrawn(scheduler, documents)
