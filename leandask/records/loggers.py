"""The loggers of the records: their handlers, and how their levels are held."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import NamedTuple

from leandask.records.recordsink import RecordSink, is_record_sink

#: Logger of the events, and of records of the scheduler itself, such as its start.
EVENTS = logging.getLogger("leandask.events")
#: Logger of the task transitions.
TRANSITIONS = logging.getLogger("leandask.transitions")
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


def record_sinks() -> Iterator[RecordSink]:
    """Yield each RecordSink that LogRecords of either logger reach, once."""
    seen = set()
    for handler in (*handlers_of(EVENTS), *handlers_of(TRANSITIONS)):
        if is_record_sink(handler) and handler not in seen:
            seen.add(handler)
            yield handler


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
