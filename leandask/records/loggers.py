"""The loggers of the records: their handlers, and their levels while they are held."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

#: Logger of the events, and of the scheduler's own life.
EVENTS = logging.getLogger("leandask.events")
#: Logger of the task transitions.
TRANSITIONS = logging.getLogger("leandask.transitions")
for _logger in (EVENTS, TRANSITIONS):
    # Without it, logging's last resort would print records that nobody asked for.
    _logger.addHandler(logging.NullHandler())
# Transitions are off until this level is lowered, by ``leandask.stream.transitions`` or
# by the user, as a scheduler makes tens of thousands of them in a second.
TRANSITIONS.setLevel(logging.WARNING)

#: By logger: its level before, and how many hold the level that it has now.
_held: dict[logging.Logger, tuple[int, int]] = {}
_lock = threading.RLock()  # the collector may release in the midst of it


def handlers_of(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Give the handlers that a LogRecord of a logger reaches.

    Parameters
    ----------
    logger : logging.Logger

    Yields
    ------
    logging.Handler
    """
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None


def buffering_handlers() -> Iterator[Any]:
    """Give the handlers that keep records back until they are told to write them.

    Yields
    ------
    logging.Handler
        Such as :class:`leandask.RotatingFileSink`; each once.
    """
    seen = set()
    for handler in (*handlers_of(EVENTS), *handlers_of(TRANSITIONS)):
        if hasattr(handler, "flush_if_due") and handler not in seen:
            seen.add(handler)
            yield handler


class HeldLevel:
    """Sets the level of a logger, which has its own again once nobody holds it.

    Loggers are the process's, which may run several schedulers.

    Parameters
    ----------
    logger : logging.Logger
    level : int
        The same for all who hold that logger's.

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
            before, holders = _held.get(logger, (logger.level, 0))
            _held[logger] = before, holders + 1
            logger.setLevel(level)

    def __repr__(self) -> str:
        state = "held" if self._is_held else "released"
        return f"<{type(self).__name__}: {self.logger.name} at {self.level}, {state}>"

    def release(self) -> None:
        """Give the level back, unless another holds it or somebody has set it anew."""
        with _lock:
            if not self._is_held:
                return
            self._is_held = False
            before, holders = _held.pop(self.logger)
            if holders > 1:
                _held[self.logger] = before, holders - 1
            elif self.logger.level == self.level:
                self.logger.setLevel(before)


def is_held(logger: logging.Logger) -> bool:
    """Whether the level of a logger is held.

    Parameters
    ----------
    logger : logging.Logger

    Returns
    -------
    bool
    """
    return logger in _held
