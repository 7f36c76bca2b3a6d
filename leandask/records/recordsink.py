"""RecordSink: a handler that takes the fields of a record without a LogRecord."""

from __future__ import annotations

import logging
from functools import lru_cache
from operator import attrgetter
from types import FunctionType
from typing import Any, Protocol, TypeGuard, runtime_checkable


@runtime_checkable
class RecordSink(Protocol):
    """What the drain asks of a handler beyond what :class:`logging.Handler` has."""

    def refuses(self, scheduler_id: str) -> bool:
        """Whether ``handle`` takes no record of a scheduler."""

    def is_unmodified(self) -> bool:
        """Whether no code of a user's is called by ``handle``, filters apart."""

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


class Methods:
    """Some methods of a class, and whether an object has them as they were written.

    An object has not where a subclass overrides one, or where one is replaced by a
    patch of the class or by an attribute of the object.

    Examples
    --------
    >>> handler = logging.NullHandler()
    >>> Methods("handle", "emit").are_unmodified(handler)
    True
    >>> handler.emit = print
    >>> Methods("handle", "emit").are_unmodified(handler)
    False
    """

    def __init__(self, *names: str) -> None:
        self._names = frozenset(names)
        self._functions_of = attrgetter(*names)

    def are_unmodified(self, obj: object) -> bool:
        """Whether the methods of an object are those of logging or leandask."""
        return self._names.isdisjoint(obj.__dict__) and _are_ours(
            self._functions_of(type(obj))
        )


@lru_cache(maxsize=64)
def _are_ours(functions: tuple[Any, ...]) -> bool:
    for function in functions:
        if type(function) is not FunctionType:
            return False
        # Not __module__, which functools.wraps copies.
        package = function.__globals__["__name__"].partition(".")[0]
        if package not in ("logging", "leandask"):
            return False
    return True
