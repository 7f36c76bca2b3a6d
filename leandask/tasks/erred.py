"""Errors: one object for what erred tasks have in common.

Upstream's keep views of the message that each error came with, and so the message.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from distributed.protocol import Serialized

from leandask import _compat
from leandask.tasks.sharedset import SharedSet

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

logger = logging.getLogger("leandask")


class Errors:
    """The errors of live tasks. Each goes with the last task that has it."""

    def __init__(self) -> None:
        #: Exceptions and tracebacks by their texts and bytes. The text is kept as an
        #: attribute, as no weak reference to a string can be had.
        self._errors: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
        #: The header of the last one: nearly all have the same.
        self._header: dict[str, Any] = {}
        #: The addresses of the workers where tasks erred.
        self._workers: WeakValueDictionary[tuple[str, ...], SharedSet] = (
            WeakValueDictionary()
        )

    def __len__(self) -> int:
        return len(self._errors)

    def share(self, ts: TaskState) -> None:
        """Let a task that erred have what an equal one has."""
        ts.exception, ts.exception_text = self._known(ts.exception, ts.exception_text)
        ts.traceback, ts.traceback_text = self._known(ts.traceback, ts.traceback_text)
        names = tuple(sorted(ts.erred_on or ()))
        workers: Any = self._workers.setdefault(names, SharedSet(names))
        ts.erred_on = workers

    def _known(self, error: Any, text: str | None) -> tuple[Any, str | None]:
        if type(error) is not Serialized:  # None, or of a worker in this process
            return error, text
        frames = [bytes(frame) for frame in error.frames]
        same = (text, *frames)
        known = self._errors.get(same)
        if known is None or known.header != error.header:
            if error.header != self._header:
                self._header = error.header
            new: Any = Serialized(self._header, frames)
            new.text = text
            known = self._errors[same] = new
        return known, known.text


def install(scheduler: Scheduler) -> None:
    """Share what the next erred tasks have in common."""
    errors = Errors()
    propagate = _compat.get_propagation(scheduler)

    def propagate_and_share(ts: TaskState, **kwargs: Any) -> Any:
        if ts.erred_on is not None:
            ts.erred_on = set(ts.erred_on)  # upstream adds to it
        done = propagate(ts, **kwargs)
        try:
            errors.share(ts)
        except Exception:
            logger.exception("The error of %r is not shared", ts.key)
        return done

    _compat.set_propagation(scheduler, propagate_and_share)
