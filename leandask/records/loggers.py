"""The loggers of leandask: their handlers, and what is set while a scheduler runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import dropwhile
from traceback import walk_tb
from typing import Any, NamedTuple

import dask.config

from leandask.records.text import TextFormatter
from leandask.settings import config

#: Logger of leandask's own lines, such as its warnings, and parent of the others.
OWN = logging.getLogger("leandask")
#: Logger of the events, and of records of the scheduler itself, such as its start.
EVENTS = logging.getLogger("leandask.events")
#: Logger of the task transitions.
TRANSITIONS = logging.getLogger("leandask.transitions")
#: Logger of the lines that workers and nannies have logged. It does not propagate: each
#: warning of a worker would be on the scheduler's console as the scheduler's own.
_is_users = "leandask.workers" in logging.root.manager.loggerDict
WORKERS = logging.getLogger("leandask.workers")
if not _is_users:
    WORKERS.propagate = False
#: Logger of samples, which are for the event log alone: they reach no other handler but
#: those that a user adds to this logger.
SAMPLES = logging.getLogger("leandask.samples")
SAMPLES.propagate = False
#: Logger of the runs of tasks, for the event log alone too: a thousand tasks may err at
#: once. It is off until ``leandask.stream.tasks`` or the user lowers its level.
TASKS = logging.getLogger("leandask.tasks")
TASKS.propagate = False
#: All loggers of records.
RECORD_LOGGERS = EVENTS, TRANSITIONS, WORKERS, SAMPLES, TASKS
for _logger in RECORD_LOGGERS:
    # Without it, logging's last resort would print records to stderr.
    _logger.addHandler(logging.NullHandler())
# A scheduler makes tens of thousands of transitions per second: they are off until
# ``leandask.stream.transitions`` or the user lowers this level. A level that is already
# set is the user's, for example from Dask's ``logging`` section.
if TRANSITIONS.level == logging.NOTSET:
    TRANSITIONS.setLevel(logging.WARNING)
if SAMPLES.level == logging.NOTSET:
    SAMPLES.setLevel(logging.INFO)  # whatever the level of its parent is


class _Hold(NamedTuple):
    """The value at which an attribute of a logger is held."""

    #: Value that it has again when the last holder releases it.
    before: Any
    value: Any
    holders: int


#: By the object and the name of its attribute.
_holds: dict[tuple[object, str], _Hold] = {}
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


class Held:
    """Sets an attribute of a logger, and restores it when the last holder releases it.

    Loggers belong to the process, which may run several schedulers. A value that the
    user sets meanwhile is the one that is kept or restored.
    """

    def __init__(
        self, target: logging.Logger | logging.Handler, name: str, value: Any
    ) -> None:
        self.target = target
        self.name = name
        self.value = value
        self._is_held = True
        with _lock:
            before, holders = getattr(target, name), 1
            if hold := _holds.get((target, name)):
                holders += hold.holders
                if before == hold.value:  # else the user has set it meanwhile
                    before = hold.before
            _holds[target, name] = _Hold(before, value, holders)
            self._set(value)

    def __repr__(self) -> str:
        state = "held" if self._is_held else "released"
        held = f"{self.target!r}, {self.name}={self.value}"
        return f"<{type(self).__name__}: {held}, {state}>"

    def release(self) -> None:
        """Restore the value, unless it has another holder or the user has set it."""
        with _lock:
            if not self._is_held:
                return
            self._is_held = False
            hold = _holds.pop((self.target, self.name))
            if hold.holders > 1:
                others = hold._replace(holders=hold.holders - 1)
                _holds[self.target, self.name] = others
            elif getattr(self.target, self.name) == hold.value:
                self._set(hold.before)

    def _set(self, value: Any) -> None:
        if self.name == "level":
            self.target.setLevel(value)  # it clears a cache too
        else:
            setattr(self.target, self.name, value)


class HeldLevel(Held):
    """Sets the level of a logger or a handler, until the last holder releases it.

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

    def __init__(self, target: logging.Logger | logging.Handler, level: int) -> None:
        super().__init__(target, "level", level)


def is_held(logger: logging.Logger, name: str = "level") -> bool:
    """Whether an attribute is held, and the user has not changed it since."""
    hold = _holds.get((logger, name))
    return hold is not None and getattr(logger, name) == hold.value


class LastResort(logging.Handler):
    """Shows warnings of leandask that no other handler takes, as Dask shows its own.

    They go to the handlers of the logger ``distributed``, at their levels: by default
    to stderr, unless ``silence_logs`` of a cluster silences it. Where that logger has
    no handlers, as the root logger had some when ``distributed`` was imported, they go
    to stderr. Records are not shown.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._users = 0

    def attach(self) -> None:
        """Add it to the logger, for one more scheduler."""
        with _lock:
            self._users += 1
            OWN.addHandler(self)

    def detach(self) -> None:
        """Remove it from the logger after the last scheduler."""
        with _lock:
            self._users -= 1
            if not self._users:
                OWN.removeHandler(self)

    def handle(self, record: logging.LogRecord) -> bool:
        """Show a line of leandask, unless another handler takes it."""
        if record.name != OWN.name or any(
            record.levelno >= handler.level
            for handler in handlers_of(OWN)
            if handler is not self and not isinstance(handler, logging.NullHandler)
        ):
            return False
        upstream = logging.getLogger("distributed")
        # Also if dictConfig has disabled it, as it does with each logger it leaves out.
        if record.levelno >= upstream.getEffectiveLevel():
            for handler in upstream.handlers or [_stderr()]:
                if record.levelno >= handler.level:
                    handler.handle(record)
        return True


LAST_RESORT = LastResort()


def _stderr() -> logging.Handler:
    """Return a handler that writes to stderr, as it is now."""
    handler = logging.StreamHandler()
    handler.setFormatter(text_format())
    return handler


def text_format() -> logging.Formatter:
    """Return a formatter whose lines look like Dask's own."""
    return TextFormatter(dask.config.get("distributed.admin.log-format"))


def hold_loggers(
    transitions: bool = False,
    silence_logs: int | None = None,
    workers: int | None = None,
    tasks: bool = False,
) -> ExitStack:
    """Set the loggers for a scheduler, until the result is closed.

    In a process that is not the scheduler's own, such as a notebook, records and lines
    of leandask do not reach the handlers of the root logger, unless
    ``leandask.stream.propagate`` says so. `transitions` records every task transition;
    `silence_logs` is the level of :class:`LastResort`, where it is above WARNING;
    `workers` that of lines of workers, unless the user has set one; `tasks` records
    every run of a task.
    """
    held = ExitStack()
    # A value that is not a boolean is auto; it is checked where a scheduler is made.
    propagate = config.configured("stream.propagate")
    if not isinstance(propagate, bool):
        from leandask import _compat  # imports distributed, which readers don't need

        propagate = _compat.is_own_process()
    # What the user has set while another scheduler holds it stays.
    is_users = (OWN, "propagate") in _holds and not is_held(OWN, "propagate")
    if not propagate and not is_users:
        held.callback(Held(OWN, "propagate", False).release)
    LAST_RESORT.attach()
    held.callback(LAST_RESORT.detach)
    if silence_logs:
        level = max(silence_logs, logging.WARNING)
        held.callback(HeldLevel(LAST_RESORT, level).release)
    if transitions:
        held.callback(HeldLevel(TRANSITIONS, logging.DEBUG).release)
    if tasks:
        held.callback(HeldLevel(TASKS, logging.DEBUG).release)
    if workers is not None and (not WORKERS.level or is_held(WORKERS)):
        held.callback(HeldLevel(WORKERS, workers).release)
    return held
