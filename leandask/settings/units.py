"""Units: rules of sizes and durations, as users write them."""

from __future__ import annotations

import math
import sys
import threading
from numbers import Real
from typing import Any

from dask.utils import parse_bytes, parse_timedelta

from leandask.settings.rules import or_none


def as_bytes(key: str, value: Any, minimum: int = 1) -> int:
    """Return a size such as ``"16 MiB"`` in bytes.

    Parameters
    ----------
    key, value
        As for :func:`leandask.settings.rules.as_count`.
    minimum : int, optional
        Smallest size allowed, in bytes.

    Returns
    -------
    int
        Size in bytes.

    Raises
    ------
    ValueError
        If `value` is no size, below `minimum`, or above ``sys.maxsize``.

    Examples
    --------
    >>> as_bytes("leandask.stream.queue-bytes", "16 MiB")
    16777216
    """
    try:
        size = parse_bytes(value) if not isinstance(value, bool) else -1
    except OverflowError:  # an infinity
        size = sys.maxsize + 1
    except (TypeError, ValueError, AttributeError):
        size = -1
    if minimum <= size <= sys.maxsize:
        return size
    rule = f"at least {minimum}" if size < minimum else f"at most {sys.maxsize}"
    raise ValueError(
        f"{key} must be a size of {rule} bytes, such as '16 MiB'; got {value!r}"
    )


def as_maxbytes(key: str, value: Any, minimum: int = 0) -> int | None:
    """Return a size in bytes or None.

    Parameters
    ----------
    key, value, minimum
        As for :func:`as_bytes`.

    Returns
    -------
    int or None
        None stands for unbounded.

    Raises
    ------
    ValueError
        If `value` is neither None nor a size of at least `minimum`.

    Examples
    --------
    >>> as_maxbytes("leandask.retention.event-bytes", "1 MiB")
    1048576
    >>> as_maxbytes("leandask.retention.event-bytes", "some")
    Traceback (most recent call last):
        ...
    ValueError: leandask.retention.event-bytes must be a size of at least 0 bytes, \
such as '16 MiB', or null for unbounded; got 'some'
    """
    return or_none(as_bytes, key, value, minimum)


def as_seconds(key: str, value: Any, positive: bool = False) -> float:
    """Return a duration such as ``"500 ms"`` in seconds.

    Parameters
    ----------
    key, value
        As for :func:`leandask.settings.rules.as_count`.
    positive : bool, optional
        Whether 0 is no such duration either.

    Returns
    -------
    float
        Duration in seconds.

    Raises
    ------
    ValueError
        If `value` is no duration, not of the range, or longer than a thread can wait.

    Examples
    --------
    >>> as_seconds("leandask.event-log.flush-interval", "500 ms")
    0.5
    """
    try:
        seconds = float(value if isinstance(value, Real) else parse_timedelta(value))
    except OverflowError:
        seconds = math.inf
    except (TypeError, ValueError, KeyError, AttributeError):
        seconds = -1.0
    is_enough = seconds > 0 if positive else seconds >= 0
    if isinstance(value, bool) or not is_enough:
        rule = "more than 0" if positive else "at least 0"
    elif seconds > threading.TIMEOUT_MAX:
        rule = f"at most {threading.TIMEOUT_MAX:.0f}"
    else:
        return seconds
    raise ValueError(
        f"{key} must be a duration of {rule} seconds, such as '500 ms'; got {value!r}"
    )
