"""Rules: what a setting may be. A value that breaks one is refused by the full key.

An error reads ``<full key> must be <rule>; got <value>``. A wrong type is a TypeError,
a value outside the range a ValueError.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sys
import threading
from collections.abc import Callable
from numbers import Real
from typing import Any

from dask.utils import parse_bytes, parse_timedelta

#: Names of the standard levels of logging.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: Start of a URL, also of one that names several protocols (``simplecache::s3://``).
#: pathlib makes one slash of two, and ``file:/x`` has one.
_URL = re.compile("[A-Za-z][A-Za-z0-9+.:-]*:/")


def as_count(key: str, value: Any, minimum: int = 0) -> int:
    """Return a whole number, of ``sys.maxsize`` at most. A ``bool`` is refused.

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
    if value > sys.maxsize:  # the largest length of a container
        raise ValueError(
            f"{key} must be a whole number of at most {sys.maxsize}; got {value!r}"
        )
    return value


def as_maxlen(key: str, value: Any, minimum: int = 0) -> int | None:
    """Return a whole number, or None for unbounded.

    Examples
    --------
    >>> as_maxlen("leandask.retention.events", "many")
    Traceback (most recent call last):
        ...
    TypeError: leandask.retention.events must be a whole number of at least 0, or null \
for unbounded; got 'many'
    """
    return _or_none(as_count, key, value, minimum)


def _or_none(
    rule: Callable[[str, Any, int], int], key: str, value: Any, minimum: int
) -> int | None:
    """Return None, or any other value by a rule, adding null to the rule's error."""
    if value is None:
        return None
    try:
        return rule(key, value, minimum)
    except (TypeError, ValueError) as e:
        error = str(e).replace("; got ", ", or null for unbounded; got ", 1)
        raise type(e)(error) from None


def as_part(key: str, value: Any) -> float:
    """Return a number from 0 to 1.

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


def as_path(key: str, value: Any) -> str:
    """Return a path with ``~`` and environment variables filled in.

    Examples
    --------
    >>> as_path("filename", "events.jsonl")
    'events.jsonl'
    >>> as_path("filename", "s3://bucket/events.jsonl")
    Traceback (most recent call last):
        ...
    ValueError: filename must be a path on this machine and not a URL; got 's3://bucket/events.jsonl'
    """
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise TypeError(f"{key} must be a path; got {value!r}")
    text = os.fsdecode(value)
    path = os.path.expandvars(os.path.expanduser(text))
    if is_url(path):
        rule = "a path on this machine and not a URL"
    elif path.endswith(os.sep):
        rule = "a path of a file and not of a folder"
    elif "\0" in text:
        rule = "a path without NUL"
    elif path.startswith("~"):
        rule = "a path whose ~ is the home folder of a user"
    elif re.search(r"\$(\w+|\{\w+\})", path):
        rule = "a path whose environment variables are set"
    else:
        return path
    raise ValueError(f"{key} must be {rule}; got {value!r}")


def as_folder(key: str, value: Any) -> str | None:
    """Return the path of a folder as :func:`as_path` does, or None."""
    if value is None:
        return None
    is_text = isinstance(value, str) and value.rstrip(os.sep)
    return as_path(key, value.rstrip(os.sep) if is_text else value)


def is_url(text: str) -> bool:
    """Whether a text is a URL and no path.

    Examples
    --------
    >>> is_url("s3://bucket/x"), is_url("/logs/x")
    (True, False)
    """
    return _URL.match(text) is not None


def as_flag(key: str, value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"{key} must be true or false; got {value!r}")
    return value


def as_flag_or_auto(key: str, value: Any) -> bool | None:
    """Return true or false, or None for auto."""
    if value != "auto" and not isinstance(value, bool):
        raise ValueError(f"{key} must be true, false or auto; got {value!r}")
    return None if value == "auto" else value


def as_level(key: str, value: Any) -> int | None:
    """Return the number of a level of logging, or None for off.

    Examples
    --------
    >>> as_level("leandask.workers.log-level", "warning")
    30
    """
    if value is None:
        return None
    name = value.upper() if isinstance(value, str) else value
    if name not in LEVELS:
        raise ValueError(
            f"{key} must be one of {', '.join(LEVELS)}, or null for off; got {value!r}"
        )
    return int(getattr(logging, name))


def as_choice(key: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of some words.

    Examples
    --------
    >>> as_choice("leandask.stream.overflow", "wait", ("drop", "block"))
    Traceback (most recent call last):
        ...
    ValueError: leandask.stream.overflow must be one of drop, block; got 'wait'
    """
    if value is False and "off" in choices:  # YAML reads off as false
        value = "off"
    if value not in choices:
        raise ValueError(f"{key} must be one of {', '.join(choices)}; got {value!r}")
    return str(value)


def as_bytes(key: str, value: Any, minimum: int = 1) -> int:
    """Return a size such as ``"16 MiB"`` in bytes, of ``sys.maxsize`` at most.

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
    """Return a size in bytes, or None for unbounded.

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
    return _or_none(as_bytes, key, value, minimum)


def as_seconds(key: str, value: Any, positive: bool = False) -> float:
    """Return a duration such as ``"500 ms"`` in seconds, which a thread can wait.

    Parameters
    ----------
    key, value
        As for :func:`as_count`.
    positive : bool, optional
        Whether 0 is refused too.

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
    """Return the smaller of two bounds. None, which is unbounded, is the largest.

    Examples
    --------
    >>> smaller(100, None), smaller(None, 5), smaller(0, 5)
    (100, 5, 0)
    """
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)
