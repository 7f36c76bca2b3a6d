"""RecordSink: a handler that takes a record without a LogRecord, and when it may."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeGuard, runtime_checkable

from leandask.records.loggers import LAST_RESORT, RECORD_LOGGERS, handlers_of

#: Methods that a LogRecord passes through.
LOGGER_METHODS = ("handle", "filter", "callHandlers")
NULL_HANDLER_METHODS = ("handle",)


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


def record_sinks() -> Iterator[RecordSink]:
    """Yield each RecordSink that LogRecords of any of our loggers reach, once."""
    seen = set()
    for handler in chain.from_iterable(map(handlers_of, RECORD_LOGGERS)):
        if is_record_sink(handler) and handler not in seen:
            seen.add(handler)
            yield handler


class Shortcut:
    """Knows where records may reach their only sink without a LogRecord.

    Parameters
    ----------
    scheduler_id : str
        The scheduler of the records.
    """

    def __init__(self, scheduler_id: str) -> None:
        self._scheduler_id = scheduler_id
        # By id, as a handler may not be hashable.
        self._sinks: dict[int, RecordSink] = {}
        self._ignoring: dict[int, logging.Handler] = {}

    def look(self) -> None:
        """Note which handlers are unmodified sinks, and which ignore our records.

        Once per turn, as it is slow. A handler that is added during a turn gets
        LogRecords.
        """
        self._sinks = {}
        self._ignoring = {id(LAST_RESORT): LAST_RESORT}  # it shows no records
        if not all([is_unmodified(each, LOGGER_METHODS) for each in RECORD_LOGGERS]):
            return
        for logger in RECORD_LOGGERS:
            for handler in handlers_of(logger):
                if isinstance(handler, logging.NullHandler):
                    if is_unmodified(handler, NULL_HANDLER_METHODS):
                        self._ignoring[id(handler)] = handler
                elif is_record_sink(handler) and handler.is_unmodified():
                    refused = handler.refuses(self._scheduler_id)
                    known: dict[int, Any] = self._ignoring if refused else self._sinks
                    known[id(handler)] = handler

    def only_sink(self, target: logging.Logger, level: int) -> RecordSink | None:
        """Return the sink that can take the fields of a record, or None.

        It is the only handler of the record, and no code of the user's would see a
        LogRecord. This is the common case, an event log alone, and three times as fast.
        """
        if target.disabled or target.filters:
            return None
        takers = [
            id(handler)
            for handler in handlers_of(target)
            if level >= handler.level and id(handler) not in self._ignoring
        ]
        sink = self._sinks.get(takers[0]) if len(takers) == 1 else None
        return sink if sink is not None and sink.takes_fields() else None
