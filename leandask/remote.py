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


def get_report(client: Client) -> Any:
    """Ask the scheduler what it holds, and how it fares.

    Parameters
    ----------
    client : distributed.Client
        With an asynchronous one the result is to be awaited.

    Returns
    -------
    dict
        Of plain JSON values, as :func:`leandask.report.report_of` makes it: among them
        ``memory`` in bytes, and under ``histories`` how much of each is kept beside its
        bound and how much was ever seen.

    Raises
    ------
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_report``.
    """
    return client.sync(client.scheduler.leandask_report)
