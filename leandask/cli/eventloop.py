"""The event loop of ``leandask-scheduler``."""

from __future__ import annotations

import logging

import dask.config

logger = logging.getLogger("leandask")

#: Upstream's setting. Its default, tornado, is the event loop of asyncio.
KEY = "distributed.admin.event-loop"


def prefer_uvloop() -> None:
    """Use uvloop if it is installed, unless an event loop is configured.

    It takes about 10 % less CPU.
    """
    try:
        import uvloop
    except ImportError:
        return
    # What the user's files and environment say, also if it equals the default.
    if dask.config.get(KEY, None, config=dask.config.collect()) is None:
        dask.config.set({KEY: "uvloop"})
        logger.info("Event loop: uvloop %s", uvloop.__version__)
