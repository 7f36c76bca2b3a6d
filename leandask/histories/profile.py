"""Profile: where the event loop was seen, once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler


def bound_profile(scheduler: Scheduler, profile: int | None) -> None:
    """Forget the oldest stacks that were taken of a scheduler's event loop.

    A thread of upstream's takes one each ``distributed.worker.profile.cycle``, but on
    CPython 3.11, and knows no bound but ``distributed.admin.low-level-log-length``. As
    others hold what it adds to, this stays and is shortened.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        All servers of the process that share its event loop share its profile.
    profile : int or None
        Stacks kept; None keeps what upstream does.
    """
    stacks = _compat.get_profile(scheduler)
    if profile is not None:
        while len(stacks) > profile:
            stacks.popleft()
