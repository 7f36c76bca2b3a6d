"""Archived: the row of a run from the summary that its scheduler wrote."""

from __future__ import annotations

import time
from typing import Any

from leandask.historyserver.index.places import Place
from leandask.reading.bucket.bucketlogs import QUIET_SECONDS
from leandask.reading.lines import EXACT
from leandask.reading.lives import Memory, how_killed
from leandask.records.runcounts import EXCEPTIONS, PREFIXES
from leandask.records.text import NAME_LENGTH, one_line
from leandask.records.times import seconds_of

#: Labels and versions that are kept.
LABELS = 50
_COUNTS = ("tasks", "erred", "workers_max", "workers_lost", "rss_peak", "dropped")


def row_of(summary: dict[str, Any], place: Place) -> dict[str, Any]:
    """Return the fields of a run; what is missing or of another type is None.

    Raises
    ------
    ValueError
        If it does not name its scheduler.
    """
    scheduler_id = summary.get("scheduler_id")
    if type(scheduler_id) is not str or not scheduler_id:
        raise ValueError(f"{place.summary} must have the text 'scheduler_id'")
    row: dict[str, Any] = {name: _number(summary.get(name)) for name in _COUNTS}
    row |= {
        "place": place.path,
        # As it is, by which its records are found.
        "scheduler_id": scheduler_id[:NAME_LENGTH],
        "name": _text(summary.get("name")),
        "address": _text(summary.get("address")),
        "dashboard": _text(summary.get("dashboard")),
        "rss_limit": _number(summary.get("limit")),
        "reason": _text(summary.get("reason")),
        "labels": _texts(summary.get("labels"), LABELS),
        "versions": _texts(summary.get("versions"), LABELS),
        "exceptions": _list(summary.get("exceptions"), EXCEPTIONS),
        "prefixes": _list(summary.get("prefixes"), PREFIXES),
    }
    for name in ("started", "updated", "ended"):
        row[name] = _time(summary.get(name))
    row["updated"] = row["updated"] or row["ended"] or row["started"]
    return row | _state(row)


def _state(row: dict[str, Any]) -> dict[str, Any]:
    if row["ended"] is not None:
        return {"state": "stopped"}
    updated = row["updated"] or 0
    if time.time() - updated < QUIET_SECONDS:  # else it was killed
        return {"state": "running"}
    peak, limit = row["rss_peak"], row["rss_limit"]
    memory = None if peak is None else Memory(int(updated * 1000), peak, limit or None)
    state, reason = how_killed(memory)
    return {"state": state, "reason": reason, "ended": updated}


def _text(value: Any) -> str | None:
    return one_line(value, NAME_LENGTH) if type(value) is str else None


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < EXACT else None


def _time(value: Any) -> float | None:
    """Return a time, which is a text in ISO 8601 or seconds since the epoch."""
    if type(value) in (int, float):
        return float(value) if 0 <= value < EXACT / 1e6 else None
    try:
        return seconds_of(value)
    except (TypeError, ValueError):
        return None


def _texts(value: Any, limit: int) -> dict[str, str]:
    if type(value) is not dict:
        return {}
    pairs = [*value.items()][:limit]
    return {one_line(str(k), 100): one_line(str(v), NAME_LENGTH) for k, v in pairs}


def _list(value: Any, limit: int) -> list[str]:
    if type(value) is not list:
        return []
    return [one_line(str(each), NAME_LENGTH) for each in value[:limit]]
