"""Times: how records write times, and how such times are parsed."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from dask.utils import parse_timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Texts of the last seconds: many records share one, but not with when a task began.
_texts: dict[int, str] = {}
#: How many are kept: 150 bytes each.
TEXTS = 1000


def rfc3339(timestamp: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC with microseconds.

    Examples
    --------
    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return rfc3339_of(round(timestamp * 1e6))


def rfc3339_of(microseconds: int) -> str:
    """Return microseconds since the epoch as :func:`rfc3339` does."""
    seconds = microseconds // 1_000_000
    text = _texts.get(seconds)
    if text is None:
        # Years before 1000 come with fewer digits.
        text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds)).zfill(20)
        if len(_texts) >= TEXTS:
            _texts.clear()
        _texts[seconds] = text
    return "%s%06dZ" % (text, microseconds % 1_000_000)  # noqa: UP031  # faster


def seconds_of(text: str) -> float:
    """Return a time in ISO 8601 as seconds since the epoch.

    Without an offset it is UTC. Raises ValueError if it is not a time.

    Examples
    --------
    >>> seconds_of("1970-01-01T00:00:01.250000Z")
    1.25
    """
    return microseconds(text) / 1e6


def milliseconds(text: str) -> int:
    """Return a time in ISO 8601 as whole milliseconds since the epoch.

    Without an offset it is UTC. Raises ValueError if it is not a time.

    Examples
    --------
    >>> milliseconds("1970-01-01T00:00:01.250999Z")
    1250
    """
    return microseconds(text) // 1000


def microseconds(text: str) -> int:
    """Return a time in ISO 8601 as microseconds since the epoch.

    Without an offset it is UTC. Raises ValueError if it is not a time.

    Examples
    --------
    >>> microseconds("1970-01-01T00:00:01.250999Z")
    1250999
    """
    fraction = text[20:-1]
    if not (len(text) == 27 and text[26] == "Z" and fraction.isdigit()):
        return _parsed(text)  # not as :func:`rfc3339` writes it
    return _second(text[:20]) + int(fraction)


@lru_cache(1024)  # many records share a second, and the runs of a while a few of them
def _second(text: str) -> int:
    """Return the microseconds since the epoch of a time without a fraction."""
    return _parsed(f"{text}000000Z")


def _parsed(text: str) -> int:
    return _since_epoch(_parse(text))


def _since_epoch(when: datetime) -> int:
    return (_as_utc(when) - _EPOCH) // timedelta(microseconds=1)


def moment(name: str, value: Any) -> str:
    """Return a time as records have it, so that the two compare as texts.

    `value` is a text in ISO 8601, seconds since the epoch, a datetime, or how long ago:
    a timedelta, or a text such as ``"15 minutes"``. None becomes an empty text.

    Raises ValueError with the `name` of the parameter if it is not a time of the years
    1 to 9999 in UTC.

    Examples
    --------
    >>> moment("since", "1970-01-01T02:00+02:00")
    '1970-01-01T00:00:00.000000Z'
    """
    if value is None:
        return ""
    given = value
    try:
        if isinstance(value, str):
            value = _parse_either(value.strip())
        if isinstance(value, timedelta):
            value = time.time() - value.total_seconds()
        if isinstance(value, datetime):
            text = rfc3339_of(_since_epoch(value))
        elif isinstance(value, bool):
            raise TypeError
        else:
            text = rfc3339(float(value))
        microseconds(text)  # raises for a year that no record has
        return text
    except (TypeError, ValueError, LookupError, OverflowError, OSError):
        pass
    raise ValueError(
        f"{name} must be an ISO 8601 time such as '2026-11-24T12:00Z', or how long ago "
        f"such as '15 minutes'; got {given!r}"
    )


def _parse(text: str) -> datetime:
    if text[-1:] in ("Z", "z"):  # Python 3.10 does not parse it
        text = text[:-1] + "+00:00"
    return datetime.fromisoformat(text)


def _as_utc(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)


def _parse_either(text: str) -> datetime | timedelta:
    try:
        return _parse(text)
    except ValueError:
        return timedelta(seconds=parse_timedelta(text, default=False))
