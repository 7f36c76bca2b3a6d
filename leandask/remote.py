"""What a client may ask of a lean scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client


def give_back(client: Client) -> Any:
    """Have the scheduler give memory back to the system.

    It does so by itself when much of what it held is released.

    Parameters
    ----------
    client : distributed.Client
        With an asynchronous one the result is to be awaited.

    Returns
    -------
    dict
        ``done``, or else the ``reason``: the scheduler is busy, or did it less than a
        minute ago; ``before`` and ``after``, RSS in bytes; ``longest_pause`` of the
        scheduler's event loop, in seconds.

    Raises
    ------
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_give_back``.
    """
    return client.sync(client.scheduler.leandask_give_back)
