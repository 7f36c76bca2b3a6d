"""Interruption: lets the event loop end what a thread of the scheduler does."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

T = TypeVar("T")
#: The file that frames of Python's import system name.
IMPORTING = "<frozen importlib._bootstrap>"
#: Bytecodes after which an exception that was sent to a thread has been raised there.
#: CPython looks for one at each call and at each jump back.
ENOUGH = 1000


class Interrupted(BaseException):
    """A thread was told to end what it does. No ``except Exception`` keeps it."""


class Interruption:
    """Runs a function that another thread may interrupt, between two bytecodes of it.

    The exception never reaches what the thread does afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The thread that runs the function.
        self._thread: int | None = None
        self._is_sent = False

    def run(self, function: Callable[[], T]) -> T:
        """Run a function in this thread.

        Raises
        ------
        Interrupted
            If it was interrupted, whatever the function has made of that.
        """
        self._thread = threading.get_ident()
        result: Any = None
        try:
            try:
                result = function()
            finally:
                self._end()
        except BaseException:
            self._end()  # the first time it may have been interrupted at its begin
            if not self._is_sent:
                raise
        if self._is_sent:
            raise Interrupted
        return cast("T", result)

    def interrupt(self) -> bool:
        """Interrupt the function; return whether one runs. Any thread may call it.

        Call it again until the function has ended: an exception is lost where Python
        raises none, such as in a finalizer.
        """
        with self._lock:
            is_running = self._thread is not None
            if self._thread is not None and not _is_importing(self._thread):
                self._is_sent = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(Interrupted)
                )
        return is_running

    def _end(self) -> None:
        """Be interrupted no more, and take what is on its way."""
        is_ended = False
        while not is_ended:
            with suppress(Interrupted):
                with self._lock:
                    self._thread = None
                for _ in range(ENOUGH):
                    pass
                is_ended = True


def _is_importing(thread: int) -> bool:
    """Whether a thread imports a module. One in C may not be imported a second time."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False
