"""Sizes: what an object takes with all that it holds, of whatever types."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import chain
from sys import getsizeof
from typing import Any

from leandask import _compat

#: Bytes assumed for an object whose size is not known.
UNKNOWN_BYTES = 16 * 1024

_LEAVES = (str, int, float, bool, type(None), bytes)
_SEQUENCES = (list, tuple, set, frozenset, deque)


def size_of(msg: Any, limit: int) -> tuple[int, bool]:
    """Estimate the bytes of a msg, and say whether it is of Python's own types.

    Once the size is above `limit`, the rest is skipped. This bounds the work, also for
    a msg that contains itself.

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
            nbytes, parts = _size_of_other(obj)
            size += nbytes
            if size <= limit:
                left.extend(parts)
    return size, is_plain


def _size_of_other(obj: Any) -> tuple[int, Iterable[Any]]:
    """Measure an object of another type; return its parts if they are not included."""
    try:
        sizer = _compat.get_sizer(type(obj))
        # Dask's own measure the parts too, and would keep their classes forever.
        if sizer is _compat.get_sizer(dict):
            return getsizeof(obj), chain(dict.keys(obj), dict.values(obj))
        if sizer is _compat.get_sizer(list):
            base = next(kind for kind in _SEQUENCES if isinstance(obj, kind))
            return getsizeof(obj), base.__iter__(obj)
        return max(int(sizer(obj)), 16), ()
    except Exception:  # a hostile object may raise anything
        return UNKNOWN_BYTES, ()
