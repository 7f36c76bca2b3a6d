"""dask_setup: makes the scheduler lean that some launcher started."""

from __future__ import annotations

import logging
from typing import Any

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from leandask.scheduler import install
from leandask.settings import config

logger = logging.getLogger("leandask")


def dask_setup(scheduler: Any) -> None:
    """Make a scheduler lean, as :func:`leandask.install` does.

    Dask calls it in a scheduler that was started with ``--preload leandask.preload``,
    or whose configuration has it in ``distributed.scheduler.preload``. A scheduler that
    is lean already is left as it is.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Whatever preloads this. A worker or a client is refused, and runs on.

    Raises
    ------
    TypeError, ValueError
        If a setting of leandask is no such value, or `scheduler` is none. Dask logs it,
        and the scheduler serves on as upstream's. With ``leandask.strict`` a scheduler
        does not start then: its process ends, and a cluster object raises.
    """
    # A plain function: of click commands Dask takes one only, and it is dask-gateway's.
    if not isinstance(scheduler, Scheduler):
        raise TypeError(
            "leandask.preload must be in distributed.scheduler.preload, or follow the "
            f"--preload of a scheduler; got {scheduler!r}"
        )
    try:
        install(scheduler)
    except Exception as e:
        # What is no flag is refused too, and whoever wrote it wanted some strictness.
        if config.configured("strict") is False:
            raise
        logger.error("leandask.strict: the scheduler does not start. %s", e)
        scheduler.add_plugin(_Refusal(e), name="leandask-strict")


class _Refusal(SchedulerPlugin):
    """Raises where Dask lets it: what a preload raises is only logged.

    Plugins are started right after the preloads. A scheduler whose plugin does not
    start is closed in order, and its start raises, in the user's process or its own.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def start(self, scheduler: Scheduler) -> None:
        raise self.error
