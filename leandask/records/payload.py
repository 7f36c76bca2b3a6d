"""Payload: the msg of any event as a bounded copy of JSON values."""

from __future__ import annotations

import datetime
import math
import re
from collections import deque
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any

from leandask.records.text import CUT, encodable

#: Containers inside containers, counted from the msg. JSON encoders stop at 254.
MAX_DEPTH = 32

# Not more digits than int() takes, as a mark may be a text of the user's.
_CUT_KEYS = re.compile(r"(\d{1,18}) more")
_CUT_ITEMS = re.compile(rf"{CUT} {_CUT_KEYS.pattern}")
_SEQUENCES = (list, tuple, set, frozenset, deque, KeysView, ValuesView, ItemsView)


def plain(msg: Any, limit: int) -> tuple[Any, int, bool]:
    """Copy a msg into values that any JSON encoder accepts.

    Everything else becomes text: tuple keys, NaN, ints over 64 bits, lone surrogates,
    bytes, exceptions, cycles. The work is bounded by `limit`, not by the size of the
    msg, which is neither changed nor kept alive.

    Returns the value, its approximate size in characters, which is `limit` at most, and
    whether something was cut. The value is made of None, bool, int, float, str, lists,
    and dicts with text as keys. A plain tuple, as it is made on the event loop.

    Examples
    --------
    >>> plain({("x", 0): float("nan"), "n": 2**70}, limit=1000)
    ({"('x', 0)": 'NaN', 'n': '1180591620717411303424'}, 41, False)
    >>> plain(["abcdef", 1, 2], limit=4)
    (['abcd…', '… 2 more'], 4, True)
    """
    walk = _Walk(limit)
    value = walk.value(msg, 0)
    return value, limit - max(walk.left, 0), walk.truncated


def n_cut(value: list[Any] | dict[str, Any]) -> int:
    """Return how many items :func:`plain` has cut from a container, by its mark.

    Examples
    --------
    >>> n_cut(plain(["abcdef", 1, 2], limit=4)[0])
    2
    """
    mark: Any
    if isinstance(value, dict):
        mark, pattern = value.get(CUT), _CUT_KEYS
    else:
        mark, pattern = value[-1] if value else None, _CUT_ITEMS
    found = pattern.fullmatch(mark) if type(mark) is str else None
    return int(found[1]) if found else 0


class _Walk:
    """One pass over a msg, and what is left of its limit."""

    __slots__ = ("left", "path", "truncated")

    def __init__(self, limit: int) -> None:
        #: Characters that may still be kept.
        self.left = limit
        #: Ids of the containers around the current value, to find cycles.
        self.path: list[int] = []
        self.truncated = False

    def value(self, obj: Any, depth: int) -> Any:
        kind = type(obj)
        if kind is str:
            return self.text(obj)
        if kind is int:
            return self.integer(obj)
        if obj is None or kind is bool:
            self.left -= 4
            return obj
        if kind is float:
            return self.real(obj)
        if kind is dict or kind is list or kind is tuple or kind is set:
            return self.container(obj, depth)
        try:
            return self.other(obj, depth)
        except Exception:  # a hostile object may raise anything
            return self.text(f"<unprintable {kind.__name__}>")

    def text(self, text: str) -> str:
        if len(text) > self.left:
            text = text[: max(self.left, 0)] + CUT
            self.truncated = True
            self.left = 0
        else:
            self.left -= len(text)
        if not text.isascii():
            text = encodable(text)
        return text

    def integer(self, number: int) -> int | str:
        if -(2**63) <= number < 2**64:
            self.left -= 8
            return number
        if number.bit_length() > 4096:  # str() is slow, or raises
            self.truncated = True
            return self.text(f"<int of {number.bit_length()} bits>")
        return self.text(str(number))

    def real(self, number: float) -> float | str:
        if math.isfinite(number):
            self.left -= 8
            return number
        if math.isnan(number):
            return self.text("NaN")
        return self.text("Infinity" if number > 0 else "-Infinity")

    def container(self, obj: Any, depth: int) -> Any:
        if id(obj) in self.path:
            return self.text("<cycle>")
        if depth >= MAX_DEPTH:
            self.truncated = True
            return CUT
        self.path.append(id(obj))
        try:
            if isinstance(obj, Mapping):
                return self.mapping(obj, depth + 1)
            return self.sequence(obj, depth + 1)
        finally:
            self.path.pop()

    def mapping(self, obj: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for seen, (key, item) in enumerate(obj.items()):
            if self.left <= 0:
                out[CUT] = f"{len(obj) - seen} more"
                self.truncated = True
                break
            name = self.key(key)
            if name in out:  # 1 and "1" are two keys here, and one in JSON
                name = f"{name} #{seen}"
            # A long value leaves half of the limit to later ones: the event of a lost
            # worker lists all of its tasks before it says whether it was expected.
            later = self.left // 2 if seen < len(obj) - 1 else 0
            self.left -= later
            out[name] = self.value(item, depth)
            self.left += later - 2
        return out

    def sequence(self, obj: Any, depth: int) -> list[Any]:
        out = []
        for seen, item in enumerate(obj):
            if self.left <= 0:
                out.append(f"{CUT} {len(obj) - seen} more")
                self.truncated = True
                break
            out.append(self.value(item, depth))
            self.left -= 1
        return out

    def key(self, key: Any) -> str:
        if type(key) is str:
            return self.text(key)
        if type(key) is tuple:  # the usual key of a task in a collection
            return str(tuple(self.sequence(key, MAX_DEPTH)))
        return str(self.value(key, MAX_DEPTH))

    def other(self, obj: Any, depth: int) -> Any:
        """Copy a subclass, a rarer type, or any other object."""
        if isinstance(obj, str):
            return self.text(str.__str__(obj))
        if isinstance(obj, int):
            return self.integer(int.__int__(obj))
        if isinstance(obj, float):
            return self.real(float.__float__(obj))
        if isinstance(obj, (Mapping, *_SEQUENCES)):
            return self.container(obj, depth)
        if isinstance(obj, (bytes, bytearray, memoryview)):
            return self.binary(obj)
        if isinstance(obj, (datetime.datetime, datetime.date)):
            return self.text(obj.isoformat())
        if type(obj).__module__ == "numpy" and getattr(obj, "ndim", None) == 0:
            item = obj.item()
            if type(item).__module__ != "numpy":
                return self.value(item, depth)
        return self.text(repr(obj))

    def binary(self, obj: bytes | bytearray | memoryview) -> str:
        head = bytes(obj[: max(self.left // 4, 0)])  # a byte takes up to 4 characters
        nbytes = len(obj) if not isinstance(obj, memoryview) else obj.nbytes
        if len(head) < nbytes:
            self.truncated = True
            return self.text(f"{head!r}{CUT} {nbytes} bytes")
        return self.text(repr(head))
