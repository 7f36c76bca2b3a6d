"""The loggers of the records: their handlers, and how their levels are held."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import dropwhile
from traceback import walk_tb
from typing import Any, NamedTuple

from leandask.records.recordsink import RecordSink, is_record_sink, is_unmodified

#: Logger of the events, and of records of the scheduler itself, such as its start.
EVENTS = logging.getLogger("leandask.events")
#: Logger of the task transitions.
TRANSITIONS = logging.getLogger("leandask.transitions")
#: Methods that a LogRecord passes through.
LOGGER_METHODS = ("handle", "filter", "callHandlers")
NULL_HANDLER_METHODS = ("handle",)
for _logger in (EVENTS, TRANSITIONS):
    # Without it, logging's last resort would print records to stderr.
    _logger.addHandler(logging.NullHandler())
# A scheduler makes tens of thousands of transitions per second: they are off until
# ``leandask.stream.transitions`` or the user lowers this level. A level that is already
# set is the user's, for example from Dask's ``logging`` section.
if TRANSITIONS.level == logging.NOTSET:
    TRANSITIONS.setLevel(logging.WARNING)


class _Hold(NamedTuple):
    """The level at which a logger is held."""

    #: Level that the logger has again when the last holder releases it.
    before: int
    level: int
    holders: int


_holds: dict[logging.Logger, _Hold] = {}
_lock = threading.RLock()  # the garbage collector may call release() inside


def handlers_of(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that a LogRecord of a logger reaches."""
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None


def handle(
    logger: logging.Logger,
    record: logging.LogRecord,
    count: Callable[[BaseException], None],
) -> None:
    """Have all handlers of a logger handle a LogRecord, even if some raise.

    Their exceptions are counted. One of a filter of the logger is raised: no handler
    gets the record then.
    """
    try:
        logger.handle(record)
    except BaseException as e:
        frames = [frame for frame, _ in walk_tb(e.__traceback__)]
        called = {id(frame.f_locals.get("self")) for frame in frames}
        rest = [*dropwhile(lambda h: id(h) not in called, handlers_of(logger))]
        if not rest:
            raise
        count(e)
        for handler in rest[1:]:  # those after the one that raised
            if record.levelno >= handler.level:
                try:
                    handler.handle(record)
                except BaseException as another:
                    count(another)


def record_sinks() -> Iterator[RecordSink]:
    """Yield each RecordSink that LogRecords of either logger reach, once."""
    seen = set()
    for handler in (*handlers_of(EVENTS), *handlers_of(TRANSITIONS)):
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
        self._sinks, self._ignoring = {}, {}
        loggers = EVENTS, TRANSITIONS
        if not all([is_unmodified(logger, LOGGER_METHODS) for logger in loggers]):
            return
        for logger in loggers:
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


class HeldLevel:
    """Sets the level of a logger, and restores it when the last holder releases it.

    Loggers belong to the process, which may run several schedulers. A level that the
    user sets meanwhile is the one that is kept or restored.

    Examples
    --------
    >>> logger = logging.getLogger("leandask.example")
    >>> one, other = HeldLevel(logger, 10), HeldLevel(logger, 10)
    >>> one.release()
    >>> logger.level
    10
    >>> other.release()
    >>> logger.level
    0
    """

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self.logger = logger
        self.level = level
        self._is_held = True
        with _lock:
            before, holders = logger.level, 1
            if hold := _holds.get(logger):
                holders += hold.holders
                if logger.level == hold.level:  # else the user has set it meanwhile
                    before = hold.before
            _holds[logger] = _Hold(before, level, holders)
            logger.setLevel(level)

    def __repr__(self) -> str:
        state = "held" if self._is_held else "released"
        return f"<{type(self).__name__}: {self.logger.name} at {self.level}, {state}>"

    def release(self) -> None:
        """Restore the level, unless it has another holder or the user has set it."""
        with _lock:
            if not self._is_held:
                return
            self._is_held = False
            hold = _holds.pop(self.logger)
            if hold.holders > 1:
                _holds[self.logger] = hold._replace(holders=hold.holders - 1)
            elif self.logger.level == hold.level:
                self.logger.setLevel(hold.before)


def is_held(logger: logging.Logger) -> bool:
    """Whether the level of a logger is held, and the user has not changed it since."""
    hold = _holds.get(logger)
    return hold is not None and logger.level == hold.level
