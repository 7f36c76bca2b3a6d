"""dask_setup: a preload that makes a running scheduler lean."""

from __future__ import annotations

import logging

from distributed import Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin

from leandask.records.loggers import hold_loggers
from leandask.scheduler import install
from leandask.settings import config

logger = logging.getLogger("leandask")


def dask_setup(scheduler: object) -> None:
    """Make a scheduler lean, as :func:`leandask.install` does.

    Dask calls it in a scheduler that is started with ``--preload leandask.preload``, or
    with this module in ``distributed.scheduler.preload``. A scheduler that is already
    lean is left as it is.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        The server that preloads this module. A worker or a client is refused, and
        continues.

    Raises
    ------
    TypeError, ValueError
        If a setting of leandask is not valid, or if `scheduler` is not a scheduler.
        Dask logs the error, and the scheduler continues without leandask. With
        ``leandask.strict`` it does not start: its process ends, or the cluster object
        raises.
    """
    # A plain function: Dask accepts one click command, and dask-gateway uses that.
    if not isinstance(scheduler, Scheduler):
        raise TypeError(
            "leandask.preload must be in distributed.scheduler.preload, or follow the "
            f"--preload of a scheduler; got {scheduler!r}"
        )
    try:
        install(scheduler)
    except Exception as e:
        # A value that is not a boolean counts as strict: it was meant to be set.
        if config.configured("strict") is False:
            raise
        with hold_loggers():
            logger.error("leandask.strict: the scheduler does not start. %s", e)
        scheduler.add_plugin(_Refusal(e), name="leandask-strict")


class _Refusal(SchedulerPlugin):
    """Keeps a scheduler from starting: Dask only logs what a preload raises.

    Dask starts the plugins right after the preloads. If one fails, it closes the
    scheduler and raises where the scheduler was started.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def start(self, scheduler: Scheduler) -> None:
        raise self.error
