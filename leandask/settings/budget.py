"""Budget: a bound in bytes for all histories together, and its shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dask.utils import format_bytes
from distributed.system import memory_limit

from leandask.settings.rules import as_bytes

#: Smallest budget, in bytes.
MINIMUM = 2**20
#: Share of the process's memory limit that ``auto`` stands for, and what it is at least
#: and at most, in bytes.
AUTO_SHARE, AUTO_MINIMUM, AUTO_MAXIMUM = 0.02, 4 * 2**20, 64 * 2**20


class Cost(NamedTuple):
    """What a history costs."""

    #: Bytes of an entry, as measured in ``docs/memory.md``; the worst case for texts.
    nbytes: int
    #: Percent of the budget; 0 for what keeps its bound.
    share: int
    #: The history that it is part of, whose share it is too.
    part_of: str | None = None


#: By the name of the bound.
COSTS: dict[str, Cost] = {
    "transition-log": Cost(365, 4),
    "events": Cost(200, 25, "event-bytes"),
    "topics": Cost(700, 10),
    "messages": Cost(2500, 0),
    "log-records": Cost(400, 5),
    "computations": Cost(3600, 5),
    "erred-tasks": Cost(3000, 5),
    "error-length": Cost(8, 0, "erred-tasks"),
    "task-stream": Cost(1045, 10),
    "event-bytes": Cost(1, 25),
    "spans": Cost(3800, 10),
    "task-prefixes": Cost(2200, 10),
    "key-cache": Cost(334, 6),
    "samples": Cost(64, 3),
    "profile": Cost(10_000, 2),
    "departed": Cost(1600, 3),
    "locks": Cost(1000, 2),
}


def as_budget(key: str, value: Any, minimum: int = MINIMUM) -> int | None:
    """Return a budget in bytes.

    Parameters
    ----------
    key : str
        Full configuration key, for the error.
    value : object
        A size such as ``"16 MiB"``, ``"auto"`` or None.
    minimum : int, optional
        Smallest budget allowed, in bytes.

    Returns
    -------
    int or None

    Raises
    ------
    ValueError
        If it is none of these, or below `minimum`.

    Notes
    -----
    ``auto`` is 2 % of what :func:`distributed.system.memory_limit` finds, the smallest
    of cgroup v1 or v2, ``RLIMIT_RSS`` and the machine's memory; at least 4 MiB and at
    most 64 MiB.

    Examples
    --------
    >>> as_budget("leandask.retention.budget", "16 MiB")
    16777216
    >>> as_budget("leandask.retention.budget", "some")
    Traceback (most recent call last):
        ...
    ValueError: leandask.retention.budget must be a size of at least 1 MiB such as \
'16 MiB', auto, or null; got 'some'
    """
    if value is None:
        return None
    if value == "auto":
        share = int(memory_limit() * AUTO_SHARE)
        return min(max(share, AUTO_MINIMUM), AUTO_MAXIMUM)
    try:
        return as_bytes(key, value, minimum)
    except ValueError:
        raise ValueError(
            f"{key} must be a size of at least {minimum // 2**20} MiB such as "
            f"'16 MiB', auto, or null; got {value!r}"
        ) from None


def divide(budget: int) -> dict[str, int]:
    """Divide a budget over the histories.

    Parameters
    ----------
    budget : int
        Bytes.

    Returns
    -------
    dict
        Entries by the name of the bound, for those that have a share.

    Examples
    --------
    >>> divide(16 * 2**20)["task-stream"]
    1605
    """
    return {
        name: budget * cost.share // (100 * cost.nbytes)
        for name, cost in COSTS.items()
        if cost.share
    }


def describe(bounds: Mapping[str, int | None]) -> str:
    """Show bounds and what they cost, as a table.

    Parameters
    ----------
    bounds : mapping
        Entries kept by the name of the bound.

    Returns
    -------
    str

    Examples
    --------
    >>> print(describe(dict.fromkeys(COSTS, 10) | {"topics": None}).split("\\n")[3])
    topics          unbounded         700    unbounded
    """
    lines = [f"{'history':15} {'bound':>9} {'bytes each':>11} {'at most':>12}"]
    total = 0
    for name, cost in COSTS.items():
        bound = bounds[name]
        if cost.part_of:
            most = f"in {cost.part_of}"
        elif bound is None:
            most = "unbounded"
        else:
            most = format_bytes(bound * cost.nbytes)
            total += bound * cost.nbytes
        lines.append(f"{name:15} {show(name, bound):>9} {cost.nbytes:11} {most:>12}")
    lines.append(f"{'all bounded':15} {'':>9} {'':>11} {format_bytes(total):>12}")
    return "\n".join(lines)


def show(name: str, bound: int | None) -> str:
    """Show a bound as it is read best.

    Parameters
    ----------
    name : str
        The bound's.
    bound : int or None

    Returns
    -------
    str

    Examples
    --------
    >>> show("event-bytes", 2**20), show("events", 100), show("events", None)
    ('1.00 MiB', '100', 'unbounded')
    """
    if name == "budget" and bound is None:
        return "none"
    if bound is None:
        return "unbounded"
    return format_bytes(bound) if name in ("event-bytes", "budget") else str(bound)
