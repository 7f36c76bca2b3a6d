"""RecordSink: a handler that takes the fields of a record without a LogRecord."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeGuard, runtime_checkable


@runtime_checkable
class RecordSink(Protocol):
    """What the drain asks of a handler beyond what :class:`logging.Handler` has."""

    def refuses(self, scheduler_id: str) -> bool:
        """Whether ``handle`` ignores all records of a scheduler."""

    def is_unmodified(self) -> bool:
        """Whether ``handle`` calls no code of the user's, apart from filters."""

    def takes_fields(self) -> bool:
        """Whether :meth:`write_fields` writes what an unmodified ``handle`` writes."""

    def write_fields(self, fields: dict[str, Any], level: int) -> None:
        """Write the fields of a record."""

    def flush(self) -> None:
        """Write all lines that wait."""

    def flush_if_due(self) -> None:
        """Write the lines that wait, if the oldest has waited for long enough."""

    def reopen(self) -> None:
        """Open the file again with the next line; safe in a signal handler."""


def is_record_sink(handler: logging.Handler) -> TypeGuard[RecordSink]:
    """Whether a handler has all methods of a :class:`RecordSink`."""
    # isinstance takes 28 us, and this 0.3 us, as it is cached by class.
    return issubclass(type(handler), RecordSink)


def is_unmodified(obj: object, methods: Iterable[str]) -> bool:
    """Whether some methods of an object are those that logging or leandask define.

    They are not if a subclass overrides one, or if a patch of the class or an attribute
    of the object replaces one.

    Examples
    --------
    >>> handler = logging.NullHandler()
    >>> is_unmodified(handler, ["handle", "emit"])
    True
    >>> handler.emit = print
    >>> is_unmodified(handler, ["handle", "emit"])
    False
    """
    for name in methods:
        # Not through __dict__: with it CPython 3.11 makes each attribute slower.
        method = getattr(obj, name)
        if type(method) is not MethodType or method.__self__ is not obj:
            return False
        # All classes that define it, as one calls the next by super().
        defined = [vars(cls)[name] for cls in type(obj).__mro__ if name in vars(cls)]
        if not all(map(_is_own, [method.__func__, *defined])):
            return False
    return True


def _is_own(function: object) -> bool:
    """Whether a function is written in logging or leandask."""
    if type(function) is not FunctionType:
        return False
    # Not __module__, which functools.wraps copies.
    return function.__globals__["__name__"].partition(".")[0] in ("logging", "leandask")
