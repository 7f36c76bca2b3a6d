"""Size: the bytes that an event's msg takes in memory."""

from __future__ import annotations

from collections import deque
from sys import getsizeof
from typing import Any

from dask.sizeof import sizeof

#: Bytes that stand for an object whose size can't be told.
UNKNOWN = 16 * 1024

_LEAVES = (str, int, float, bool, type(None), bytes)
_SEQUENCES = (list, tuple, set, frozenset, deque)


def size_of(msg: Any, limit: int) -> tuple[int, bool]:
    """Estimate the bytes of a msg with all that it holds.

    Parameters
    ----------
    msg : object
        Anything.
    limit : int
        Bytes after which the rest is not looked at. It bounds the work, also where a
        msg holds itself.

    Returns
    -------
    int, bool
        More than `limit` where that was reached, and whether all that was looked at is
        of Python's own types.

    Examples
    --------
    >>> size, is_plain = size_of({"action": "lost", "keys": {"x", "y"}}, 10_000)
    >>> size < 1000, is_plain
    (True, True)
    >>> size_of(["x" * 2**20] * 2**20, 10_000)[0] > 10_000
    True
    """
    size, is_plain = 0, True
    left = [msg]
    while left and size <= limit:
        obj = left.pop()
        kind = type(obj)
        if kind in _LEAVES:
            size += getsizeof(obj)
        elif kind is dict:
            size += getsizeof(obj)
            if size <= limit:
                left.extend(obj)
                left.extend(obj.values())
        elif kind in _SEQUENCES:
            size += getsizeof(obj)
            if size <= limit:
                left.extend(obj)
        else:
            is_plain = False
            size += _size_of_other(obj)
    return size, is_plain


def _size_of_other(obj: Any) -> int:
    try:
        return max(int(sizeof(obj)), 16)
    except Exception:  # whatever a hostile object does when it is looked at
        return UNKNOWN
