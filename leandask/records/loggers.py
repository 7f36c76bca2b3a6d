"""Handlers: where records end up, as logging is configured now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from leandask.records.factory import EVENTS, TRANSITIONS


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
