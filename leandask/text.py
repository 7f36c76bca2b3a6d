"""Text: how times, names and messages are written in a record."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from leandask.payload import CUT

#: Characters kept of a topic, an action, an address or a key.
NAME_LENGTH = 512
#: Characters kept of the readable message.
MESSAGE_LENGTH = 250
_EPOCH = datetime(1970, 1, 1)


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


def seconds_of(timestamp: str) -> float:
    """Return a record's time in seconds since the epoch.

    Parameters
    ----------
    timestamp : str
        RFC 3339 in UTC, as :func:`rfc3339` writes it.

    Returns
    -------
    float

    Examples
    --------
    >>> seconds_of("1970-01-01T00:00:01.250000Z")
    1.25
    """
    moment = datetime.fromisoformat(timestamp[:26])
    return (moment - _EPOCH) // timedelta(microseconds=1) / 1_000_000


#: The second of the last time, and its text: records come many to a second.
_last = (0, "1970-01-01T00:00:00.")


def one_line(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Cut a text, and show its control characters as escapes.

    Parameters
    ----------
    text : str
    limit : int, optional
        Characters to keep.

    Returns
    -------
    str
        A text that can't start another line, nor steer a terminal.

    Examples
    --------
    >>> print(one_line("a\\nb"))
    a\\nb
    """
    if len(text) > limit:
        text = text[:limit] + CUT
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def name_of(value: Any) -> str:
    """Return a topic or a key as a text of bounded length that any encoder takes.

    Parameters
    ----------
    value : object
        Most often a str, or a tuple as the keys of collections are.

    Returns
    -------
    str

    Examples
    --------
    >>> name_of(("x", 0))
    "('x', 0)"
    """
    text: str = value if type(value) is str else str(value)
    if len(text) > NAME_LENGTH:
        text = text[:NAME_LENGTH] + CUT
    if not text.isascii():
        # A lone surrogate is no Unicode text: show its escape.
        text = text.encode("utf-8", "backslashreplace").decode()
    return text
