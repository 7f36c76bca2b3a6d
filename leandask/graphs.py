"""Graphs: what the page of the graph of tasks keeps while these are too many for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leandask import _compat
from leandask.sessions import sessions

if TYPE_CHECKING:
    from distributed import Scheduler


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
