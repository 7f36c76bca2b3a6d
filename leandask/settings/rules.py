"""Rules: what a setting may be, refused by its name where it is not.

An error reads ``<full key> must be <rule>; got <value>``.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable
from numbers import Real
from typing import Any

from dask.utils import parse_bytes, parse_timedelta


def as_count(key: str, value: Any, minimum: int = 0) -> int:
    """Return `value` if it is a whole number, else raise.

    Parameters
    ----------
    key : str
        Full configuration key, for the error.
    value : object
        What the user gave.
    minimum : int, optional
        Smallest number allowed.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If `value` is no ``int``; a ``bool`` is none.
    ValueError
        If `value` is below `minimum`, or above ``sys.maxsize``.

    Examples
    --------
    >>> as_count("leandask.event-log.backups", -1)
    Traceback (most recent call last):
        ...
    ValueError: leandask.event-log.backups must be a whole number of at least 0; got -1
    """
    error = f"{key} must be a whole number of at least {minimum}; got {value!r}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(error)
    if value < minimum:
        raise ValueError(error)
    if value > sys.maxsize:  # no container takes more as its length
        raise ValueError(
            f"{key} must be a whole number of at most {sys.maxsize}; got {value!r}"
        )
    return value


def as_maxlen(key: str, value: Any, minimum: int = 0) -> int | None:
    """Return `value` if it is a whole number or None, else raise.

    Parameters
    ----------
    key, value, minimum
        As for :func:`as_count`.

    Returns
    -------
    int or None
        None stands for unbounded.

    Raises
    ------
    TypeError
        If `value` is neither an ``int`` nor None.
    ValueError
        If `value` is below `minimum`, or above ``sys.maxsize``.

    Examples
    --------
    >>> as_maxlen("leandask.retention.events", "many")
    Traceback (most recent call last):
        ...
    TypeError: leandask.retention.events must be a whole number of at least 0, or null \
for unbounded; got 'many'
    """
    return or_none(as_count, key, value, minimum)


def or_none(
    rule: Callable[[str, Any, int], int], key: str, value: Any, minimum: int
) -> int | None:
    """Return None as it is, and any other `value` by a rule.

    Parameters
    ----------
    rule : callable
        Such as :func:`as_count`.
    key, value, minimum
        As for `rule`.

    Returns
    -------
    int or None

    Raises
    ------
    TypeError, ValueError
        As `rule` does; the error names null too.
    """
    if value is None:
        return None
    try:
        return rule(key, value, minimum)
    except (TypeError, ValueError) as e:
        error = str(e).replace("; got ", ", or null for unbounded; got ", 1)
        raise type(e)(error) from None


def as_part(key: str, value: Any) -> float:
    """Return a part of a whole.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError
        If `value` is no number.
    ValueError
        If it is not from 0 to 1.

    Examples
    --------
    >>> as_part("leandask.give-back.part", 2)
    Traceback (most recent call last):
        ...
    ValueError: leandask.give-back.part must be a number from 0 to 1; got 2
    """
    error = f"{key} must be a number from 0 to 1; got {value!r}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(error)
    if not 0 <= value <= 1:
        raise ValueError(error)
    return float(value)


def as_path(key: str, value: Any) -> str | None:
    """Return a path with the user's home folder filled in.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.

    Returns
    -------
    str or None

    Raises
    ------
    TypeError
        If `value` is neither a path nor None.

    Examples
    --------
    >>> as_path("leandask.event-log.path", "events.jsonl")
    'events.jsonl'
    """
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise TypeError(f"{key} must be a path or null; got {value!r}")
    return os.path.expanduser(os.fsdecode(value))


def as_flag(key: str, value: Any) -> bool:
    """Return `value` if it is true or false, else raise.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If `value` is no ``bool``.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be true or false; got {value!r}")
    return value


def as_choice(key: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of some words, else raise.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.
    choices : tuple of str

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If `value` is none of them.

    Examples
    --------
    >>> as_choice("leandask.stream.overflow", "wait", ("drop", "block"))
    Traceback (most recent call last):
        ...
    ValueError: leandask.stream.overflow must be one of drop, block; got 'wait'
    """
    if value is False and "off" in choices:  # as YAML reads it
        value = "off"
    if value not in choices:
        raise ValueError(f"{key} must be one of {', '.join(choices)}; got {value!r}")
    return str(value)


def as_bytes(key: str, value: Any, minimum: int = 1) -> int:
    """Return a size such as ``"16 MiB"`` in bytes.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.
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
        As for :func:`as_count`.
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


def smaller(a: int | None, b: int | None) -> int | None:
    """Return the smaller of two bounds, of which None is the largest.

    Parameters
    ----------
    a, b : int or None

    Returns
    -------
    int or None

    Examples
    --------
    >>> smaller(100, None), smaller(None, 5), smaller(0, 5)
    (100, 5, 0)
    """
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
