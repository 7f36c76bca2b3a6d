"""Budget: a bound in bytes for all histories together, and its shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dask.utils import format_bytes

from leandask.settings.config import bounds_schema
from leandask.settings.memorylimit import find_limit
from leandask.settings.rules import as_bytes

#: Smallest budget, in bytes.
MINIMUM = 2**20
#: Share of the process's memory limit that ``auto`` stands for, and what it is at least
#: and at most, in bytes.
AUTO_SHARE, AUTO_MINIMUM, AUTO_MAXIMUM = 0.02, 4 * 2**20, 64 * 2**20


class Cost(NamedTuple):
    """What the entries of a history take, and its share of a budget."""

    #: Bytes of an entry; the worst case for texts.
    nbytes: int
    #: Percent of a budget; 0 where a budget leaves the bound as it is.
    share: int
    #: The bound whose share this is part of.
    part_of: str | None


#: By the name of the bound.
COSTS = {
    name: Cost(schema["x-nbytes"], schema["x-share"], schema.get("x-part-of"))
    for name, schema in bounds_schema().items()
    if "x-nbytes" in schema
}


def as_budget(key: str, value: Any, minimum: int = MINIMUM) -> int | None:
    """Return the bytes of a size such as ``"16 MiB"`` or of ``"auto"``, or None.

    Notes
    -----
    ``auto`` is 2 % of what :func:`~leandask.settings.memorylimit.find_limit` finds, at
    least 4 MiB and at most 64 MiB.

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
        share = int(find_limit().nbytes * AUTO_SHARE)
        return min(max(share, AUTO_MINIMUM), AUTO_MAXIMUM)
    try:
        return as_bytes(key, value, minimum)
    except ValueError:
        raise ValueError(
            f"{key} must be a size of at least {minimum // 2**20} MiB such as "
            f"'16 MiB', auto, or null; got {value!r}"
        ) from None


def divide(budget: int) -> dict[str, int]:
    """Divide a budget in bytes; return the bound of each history that has a share.

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
    """Return a table of bounds, by name, with the size of each.

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
        lines.append(
            f"{name:15} {format_bound(name, bound):>9} {cost.nbytes:11} {most:>12}"
        )
    lines.append(f"{'all bounded':15} {'':>9} {'':>11} {format_bytes(total):>12}")
    return "\n".join(lines)


def format_bound(name: str, bound: int | None) -> str:
    """Return a bound as text: sizes with their unit.

    Examples
    --------
    >>> format_bound("event-bytes", 2**20), format_bound("events", None)
    ('1.00 MiB', 'unbounded')
    """
    if bound is None:
        return "none" if name == "budget" else "unbounded"
    return format_bytes(bound) if name in ("event-bytes", "budget") else str(bound)
