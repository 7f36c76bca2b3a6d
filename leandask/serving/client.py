"""Functions of a client: ask a lean scheduler, and change its bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from leandask.serving.history.question import check_sizes

if TYPE_CHECKING:
    from distributed import Client

    from leandask.guard.guard import LimitReport
    from leandask.housekeeping.giveback import Outcome
    from leandask.serving.history.search import Answer
    from leandask.serving.report import Report


class Past(TypedDict):
    """The answer of :func:`get_history`."""

    #: By the names of the schema, the newest first.
    records: list[dict[str, Any]]
    #: Why older records may be missing: ``"limit"``, ``"bytes"`` (the answer has 8 MiB)
    #: or ``"seconds"`` (it took 10); None if the event log has no more of them.
    truncated: str | None
    #: Time of the oldest record that was read; None if none was.
    reached: str | None
    #: Lines of the event log that can't be read, and such files.
    broken: int
    #: Files that can't be read to their end, each with the reason.
    left_out: list[str]
    #: Records of any kind that were dropped since the scheduler started.
    dropped: int


def get_history(
    client: Client, /, limit: int = 1000, schedulers: str = "own", **filters: Any
) -> Past | Awaitable[Past]:
    """Ask a scheduler what happened; it reads its own event log.

    It reads the log from the end, in a thread and in small steps, so that it keeps
    working and needs little memory.

    Parameters
    ----------
    client : distributed.Client
    limit : int, optional
        Largest number of records.
    schedulers : str, optional
        ``"all"`` asks for the records of all schedulers in the log, also of an earlier
        run, if the scheduler's ``leandask.event-log.history`` is ``all``.
    **filters
        As for :meth:`leandask.LogReader.records`: ``topic``, ``action``,
        ``event_name``, ``key``, ``stimulus_id``, ``worker``, ``client``, ``level``,
        ``since``, ``until``. Each has at most 1000 texts.

    Returns
    -------
    Past or awaitable of Past
        An awaitable if the client is asynchronous, as for methods of the client.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not valid, or the scheduler has no event log; or if its
        ``blocked-handlers`` have ``leandask_history``, ``events`` or ``get_story``.

    Notes
    -----
    A type checker can't see whether a client is asynchronous. The result is a dict if
    it is not an awaitable: ``assert isinstance(result, dict)`` narrows the type.
    """
    check_sizes(filters)
    plain = Filter(**filters).as_dict()  # checked here, where the caller sees it
    return cast("Past", client.sync(_get_history, client, limit, plain, schedulers))


async def _get_history(
    client: Client, limit: int, filters: dict[str, Any], schedulers: str
) -> Past:
    answer: Answer = await _ask(
        client.scheduler,
        "leandask_history",
        limit=limit,
        filters=filters,
        schedulers=schedulers,
        client=client.id,
    )
    return Past(
        records=[record_of(line) for line in answer["lines"].splitlines()],
        truncated=answer["truncated"],
        reached=answer["reached"],
        broken=answer["broken"],
        left_out=list(answer["left_out"]),
        dropped=answer["dropped"],
    )


def give_back(client: Client) -> Outcome | Awaitable[Outcome]:
    """Make the scheduler give memory back to the operating system.

    It does so by itself after it has released many tasks.

    Parameters
    ----------
    client : distributed.Client

    Returns
    -------
    Outcome or awaitable of Outcome
        A dict: ``done``; if that is false, the ``reason``: the scheduler is busy, or
        gave memory back less than a minute ago; ``before`` and ``after``, RSS in bytes;
        ``longest_pause`` of the scheduler's event loop, in seconds. An awaitable if the
        client is asynchronous.

    Raises
    ------
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_give_back``.
    """
    return cast("Outcome", client.sync(_ask, client.scheduler, "leandask_give_back"))


def set_retention(
    client: Client, **bounds: int | str | None
) -> dict[str, int | None] | Awaitable[dict[str, int | None]]:
    """Change bounds of a scheduler's histories while it runs.

    Entries beyond a smaller bound are evicted at once, and a record
    ``leandask.retention-set`` is emitted. A scheduler that is restarted has the
    configured bounds.

    Parameters
    ----------
    client : distributed.Client
    **bounds
        As for :class:`leandask.Retention`, such as ``events=500``. The others stay.

    Returns
    -------
    dict or awaitable of dict
        All bounds in force, by name. A bound is smaller than the given one if the
        scheduler's setting for upstream is smaller, or its share of a budget. An
        awaitable if the client is asynchronous.

    Raises
    ------
    TypeError, ValueError
        If a bound is not valid. No bound is changed.
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_set_retention``.
    """
    return cast(
        "dict[str, int | None]",
        client.sync(_ask, client.scheduler, "leandask_set_retention", bounds=bounds),
    )


def set_memory(
    client: Client, **settings: int | float | str | None
) -> LimitReport | Awaitable[LimitReport]:
    """Change the memory limit of a scheduler, or its parts, while it runs.

    A record ``leandask.memory-limit-set`` is emitted. A scheduler that is restarted has
    the configured ones.

    Parameters
    ----------
    client : distributed.Client
    **settings
        ``limit``, ``warn`` and ``refuse``, as below ``leandask.memory``, such as
        ``refuse=0.95``. The others stay.

    Returns
    -------
    LimitReport or awaitable of LimitReport
        A dict with what is in force: ``limit`` in bytes, its ``source``, ``warn`` and
        ``refuse``; and what the report has besides. An awaitable if the client is
        asynchronous.

    Raises
    ------
    TypeError, ValueError
        If a setting is not valid. None is changed.
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_set_memory``.
    """
    return cast(
        "LimitReport",
        client.sync(_ask, client.scheduler, "leandask_set_memory", settings=settings),
    )


def get_report(client: Client) -> Report | Awaitable[Report]:
    """Ask the scheduler what it holds, and for its counters.

    Parameters
    ----------
    client : distributed.Client

    Returns
    -------
    Report or awaitable of Report
        A dict of plain JSON values, the result of
        :func:`leandask.serving.report.report_of`: among them ``memory`` in bytes, and
        ``histories`` with the number of entries kept and ever seen, and the bound of
        each. An awaitable if the client is asynchronous.

    Raises
    ------
    ValueError
        If the scheduler's ``blocked-handlers`` have ``leandask_report``.
    """
    return cast("Report", client.sync(_ask, client.scheduler, "leandask_report"))


def fetch_report(
    address: str, tls: Mapping[str, str] | None = None, timeout: float = 30
) -> Report:
    """Ask a scheduler for its report, without a client.

    Parameters
    ----------
    address : str
    tls : mapping, optional
        Parameters of :class:`distributed.Security`.
    timeout : float, optional
        Seconds that the scheduler may take to answer.

    Raises
    ------
    OSError
        If nothing answers within `timeout`.
    ValueError
        If the scheduler is not lean or refuses to answer, or if `tls` is given for an
        address without TLS.
    """
    import asyncio

    from distributed import Security, rpc

    security = Security(**(tls or {}), **({"require_encryption": True} if tls else {}))
    if security.require_encryption and "://" not in address:
        address = f"tls://{address}"

    async def ask() -> Report:
        arguments = security.get_connection_args("client")
        async with rpc(address, timeout=10, connection_args=arguments) as scheduler:
            return cast("Report", await _ask(scheduler, "leandask_report"))

    async def ask_in_time() -> Report:
        return await asyncio.wait_for(ask(), timeout)

    try:
        return asyncio.run(ask_in_time())
    except asyncio.TimeoutError:  # not an OSError in Python 3.10
        raise OSError(
            f"{address} must answer within {timeout} seconds, and did not: it hangs, "
            "or is not a scheduler"
        ) from None
    except RuntimeError as e:
        if "encryption" not in str(e):
            raise
        raise ValueError(str(e)) from e


async def _ask(scheduler: Any, handler: str, **kwargs: Any) -> Any:
    """Call a handler of a scheduler, which answers None if it does not have it."""
    answer = await getattr(scheduler, handler)(**kwargs)
    if answer is None:
        raise ValueError(
            f"The scheduler must be a LeanScheduler to answer {handler}, or have been "
            "made lean by leandask.install"
        )
    return answer
