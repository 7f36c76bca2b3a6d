"""Errors: one object for what erred tasks have in common, packed.

Upstream's keep views of the message that each error came with, and so the message. A
pickled exception has its traceback and its text in it once more: 4 kB for 40 frames.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from distributed.protocol import Serialized

from leandask import _compat
from leandask.tasks.sharedset import SharedSet
from leandask.tasks.taskstate import MixedTaskState, PackedError

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

logger = logging.getLogger("leandask")

#: Bytes of the pickled exceptions that are packed. The largest take about 2 ms.
SMALLEST, LARGEST = 1000, 100_000


class Errors:
    """The errors of live tasks. Each goes with the last task that has it."""

    def __init__(self) -> None:
        #: Exceptions and tracebacks by their texts, the tracebacks that they came with,
        #: and digests of their bytes. The text is kept as an attribute, as no weak
        #: reference to a string can be had.
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
        traceback, ts.traceback_text = self._known(ts.traceback, ts.traceback_text)
        ts.traceback = traceback
        # A task of another class could not unpack it.
        packed_with = traceback if isinstance(ts, MixedTaskState) else None
        ts.exception, ts.exception_text = self._known(
            ts.exception, ts.exception_text, packed_with
        )
        names = tuple(sorted(ts.erred_on or ()))
        workers: Any = self._workers.setdefault(names, SharedSet(names))
        ts.erred_on = workers

    def _known(
        self, error: Any, text: str | None, traceback: Any = None
    ) -> tuple[Any, str | None]:
        if type(error) is not Serialized:  # None, or of a worker in this process
            return error, text
        if error.header != self._header:
            self._header = error.header
        frames = [bytes(frame) for frame in error.frames]
        same = (text, id(traceback), *map(_digest, frames))
        known = self._errors.get(same)
        if known is None or known.header != error.header:
            known = self._errors[same] = self._kept(frames, text, traceback)
        return known, known.text

    def _kept(self, frames: list[bytes], text: str | None, traceback: Any) -> Any:
        is_packed = SMALLEST <= sum(map(len, frames)) <= LARGEST
        if is_packed and type(traceback) is Serialized and text is not None:
            return PackedError(self._header, frames, text, traceback)
        kept: Any = Serialized(self._header, frames)
        kept.text = text
        return kept


def _digest(frame: bytes) -> bytes:
    return hashlib.blake2b(frame, digest_size=16).digest()


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
