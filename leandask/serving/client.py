"""What a client may ask of a lean scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from leandask.reading.filter import Filter
from leandask.reading.lines import record_of

if TYPE_CHECKING:
    from distributed import Client


#: Seconds that a scheduler may take to answer the command ``report``.
ANSWER_SECONDS = 30


class Past(TypedDict):
    """What a scheduler tells of the past."""

    #: By the names of the schema, the newest first.
    records: list[dict[str, Any]]
    #: Why older ones may be missing: ``"limit"``, ``"bytes"`` (8 MiB), ``"seconds"``
    #: (10 of looking); None where these are all that the event log has.
    truncated: str | None
    #: Time of the oldest record that was looked at.
    reached: str | None
    #: Lines of the event log that can't be read.
    broken: int
    #: Records that were dropped since the scheduler started, of any kind.
    dropped: int


def get_history(client: Client, limit: int = 1000, **filters: Any) -> Any:
    """Ask a scheduler what happened: its event log is read, and no memory is used.

    It is read from its end, in a thread, a little at a time: the scheduler goes on.

    Parameters
    ----------
    client : distributed.Client
        With an asynchronous one the result is to be awaited.
    limit : int, optional
        Records at most.
    **filters
        As for :meth:`leandask.LogReader.records`: ``topic``, ``action``,
        ``event_name``, ``key``, ``stimulus_id``, ``worker``, ``client``, ``level``,
        ``since``, ``until``.

    Returns
    -------
    Past

    Raises
    ------
    TypeError, ValueError
        If a parameter is no such value, or the scheduler has no event log; or if its
        ``blocked-handlers`` have ``leandask_history``, ``events`` or ``get_story``.
    """
    given = Filter(**filters).as_dict()  # refused here, where it was written
    return client.sync(_get_history, client, limit, given)


async def _get_history(client: Client, limit: int, filters: dict[str, Any]) -> Past:
    answer = await _ask(
        client.scheduler, "leandask_history", limit=limit, filters=filters
    )
    lines = answer.pop("lines").splitlines()
    answer["records"] = [record_of(line) for line in lines]
    return cast(Past, answer)


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
    return client.sync(_ask, client.scheduler, "leandask_give_back")


def set_retention(client: Client, **bounds: Any) -> Any:
    """Change bounds of a scheduler's histories while it runs.

    What is beyond a smaller bound is forgotten at once. It leaves a record
    ``leandask.retention-set``. A scheduler that starts anew has what is configured.

    Parameters
    ----------
    client : distributed.Client
        With an asynchronous one the result is to be awaited.
    **bounds
        As for :class:`leandask.Retention`: ``events=500``. The others stay as they are.

    Returns
    -------
    dict
        All bounds in force, by name. Where the scheduler's own setting for upstream is
        smaller, or a budget has less for it, that is in force.

    Raises
    ------
    TypeError, ValueError
        If a bound is no such value. All stay as they are then.
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_set_retention``.
    """
    return client.sync(_ask, client.scheduler, "leandask_set_retention", bounds=bounds)


def fetch_report(address: str, **tls: str) -> dict[str, Any]:
    """Ask a scheduler for its report, without a client.

    Parameters
    ----------
    address : str
    **tls
        As for :class:`distributed.Security`.

    Returns
    -------
    dict

    Raises
    ------
    OSError
        If nobody answers, or not within 30 seconds.
    ValueError
        If it is no lean scheduler, or refuses; if the address is one without TLS where
        this is asked for.
    """
    import asyncio

    from distributed import Security, rpc

    security = Security(**tls, **({"require_encryption": True} if tls else {}))
    if security.require_encryption and "://" not in address:
        address = f"tls://{address}"

    async def ask() -> Any:
        arguments = security.get_connection_args("client")
        async with rpc(address, timeout=10, connection_args=arguments) as scheduler:
            return await _ask(scheduler, "leandask_report")

    async def ask_in_time() -> Any:
        return await asyncio.wait_for(ask(), ANSWER_SECONDS)

    try:
        return cast("dict[str, Any]", asyncio.run(ask_in_time()))
    except asyncio.TimeoutError:  # no OSError in Python 3.10
        raise OSError(
            f"{address} must answer within {ANSWER_SECONDS} seconds, and did not: it "
            "hangs, or is no scheduler"
        ) from None
    except RuntimeError as e:
        if "encryption" not in str(e):
            raise
        raise ValueError(str(e)) from e


def get_report(client: Client) -> Any:
    """Ask the scheduler what it holds, and how it fares.

    Parameters
    ----------
    client : distributed.Client
        With an asynchronous one the result is to be awaited.

    Returns
    -------
    dict
        Of plain JSON values, as :func:`leandask.serving.report.report_of` makes it:
        among them ``memory`` in bytes, and under ``histories`` how much of each is kept
        beside its bound and how much was ever seen.

    Raises
    ------
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_report``.
    """
    return client.sync(_ask, client.scheduler, "leandask_report")


async def _ask(scheduler: Any, handler: str, **kwargs: Any) -> Any:
    """Ask a scheduler through its rpc. One that knows no such handler gives None."""
    answer = await getattr(scheduler, handler)(**kwargs)
    if answer is None:
        raise ValueError(
            f"The scheduler must be a LeanScheduler to answer {handler}, or have been "
            "made lean by leandask.install"
        )
    return answer
