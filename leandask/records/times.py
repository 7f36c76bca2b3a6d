"""Times: how a record writes them, and how they are read."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

from dask.utils import parse_timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: The second of the last time, and its text: records come many to a second.
_last = (0, "1970-01-01T00:00:00.")


def rfc3339(timestamp: float) -> str:
    """Format a time as RFC 3339 in UTC with microseconds.

    Parameters
    ----------
    timestamp : float
        Seconds since the epoch.

    Returns
    -------
    str

    Examples
    --------
    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    global _last
    microseconds = round(timestamp * 1e6)
    seconds = microseconds // 1_000_000
    last = _last  # read once: several threads may be here
    if last[0] != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))
        last = _last = seconds, text
    return "%s%06dZ" % (last[1], microseconds % 1_000_000)  # noqa: UP031  # faster


def seconds_of(text: str) -> float:
    """Read a time in seconds.

    Parameters
    ----------
    text : str
        ISO 8601; without an offset it is UTC.

    Returns
    -------
    float
        Seconds since the epoch.

    Raises
    ------
    ValueError
        If it is not a time.

    Examples
    --------
    >>> seconds_of("1970-01-01T00:00:01.250000Z")
    1.25
    """
    return (_parse(text) - _EPOCH).total_seconds()


def milliseconds(text: str) -> int:
    """Read a time in milliseconds.

    Parameters
    ----------
    text : str
        ISO 8601; without an offset it is UTC.

    Returns
    -------
    int
        Whole milliseconds since the epoch.

    Raises
    ------
    ValueError
        If it is not a time.

    Examples
    --------
    >>> milliseconds("1970-01-01T00:00:01.250999Z")
    1250
    """
    return (_parse(text) - _EPOCH) // timedelta(milliseconds=1)


def moment(name: str, value: Any) -> str:
    """Return a time as records write it, so that the two compare as texts.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    value : str, float, datetime.datetime, datetime.timedelta or None
        ISO 8601, seconds since the epoch, or how long ago, as ``"15 minutes"``.

    Returns
    -------
    str
        Empty for None.

    Raises
    ------
    ValueError
        If `value` is no time.

    Examples
    --------
    >>> moment("since", "1970-01-01T02:00+02:00")
    '1970-01-01T00:00:00.000000Z'
    """
    if value is None:
        return ""
    try:
        if isinstance(value, str):
            value = _parse_either(value.strip())
        if isinstance(value, timedelta):
            value = time.time() - value.total_seconds()
        if isinstance(value, datetime):
            value = (_as_utc(value) - _EPOCH).total_seconds()
        if not isinstance(value, bool):
            return rfc3339(float(value))
    except (TypeError, ValueError, LookupError, OverflowError, OSError):
        pass
    raise ValueError(
        f"{name} must be an ISO 8601 time such as '2026-11-24T12:00Z', or how long ago "
        f"such as '15 minutes'; got {value!r}"
    )


def _parse(text: str) -> datetime:
    if text[-1:] in ("Z", "z"):  # Python 3.10 knows none
        text = text[:-1] + "+00:00"
    return _as_utc(datetime.fromisoformat(text))


def _as_utc(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)


def _parse_either(text: str) -> datetime | timedelta:
    try:
        return _parse(text)
    except ValueError:
        return timedelta(seconds=parse_timedelta(text, default=False))
