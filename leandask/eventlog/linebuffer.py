"""Backlog: lines that wait to be written together."""

from __future__ import annotations

import logging
import threading
import time

#: Bytes that make a write worth while.
BUFFER_BYTES = 64 * 1024
#: Seconds and bytes of which one must pass between two writes. To write is to let go of
#: the interpreter, and to wait for up to 5 ms for its return from a busy event loop.
WRITE_SECONDS, WRITE_BYTES = 0.01, 1024 * 1024
#: Bytes that wait while nothing can be written; what comes then is lost.
BACKLOG_BYTES = 4 * 1024 * 1024


class Backlog:
    """Lines that wait to be written together, up to 4 MiB.

    Parameters
    ----------
    interval : float
        Longest time in seconds that a line should wait.

    Notes
    -----
    It may be used from several threads. Its lock is held for no longer than it takes to
    change it, and nothing is waited for meanwhile.
    """

    #: Lines that wait, without those that are being written.
    lines: int
    #: Lines that are lost: those that came when too much waited, and what was given up,
    #: even if a write that hung then ends after all.
    lines_lost: int
    #: Whether what waits should be written now.
    is_due: bool
    #: When the oldest line has waited long enough, by ``time.monotonic()``.
    deadline: float

    # What waits, and what was taken out to be written.
    _buffer: bytearray
    _taken: bytearray
    _taken_lines: int

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.lines_lost = 0
        self.is_due = False
        self._write_at = 0.0  # time.monotonic() from which 64 KiB are worth a write
        self.after_fork()

    def __len__(self) -> int:
        """Bytes that wait, without those that are being written."""
        return len(self._buffer)

    def add(self, line: bytes, level: int) -> None:
        """Take a line, and note whether it makes a write due."""
        with self._lock:
            buffer = self._buffer
            waiting = len(buffer) + len(self._taken)
            if waiting and waiting + len(line) >= BACKLOG_BYTES:
                self.lines_lost += 1
                return
            if not buffer:
                self.deadline = time.monotonic() + self.interval
            buffer += line
            buffer += b"\n"
            self.lines += 1
            if level >= logging.WARNING or (
                len(buffer) >= BUFFER_BYTES
                and (len(buffer) >= WRITE_BYTES or time.monotonic() >= self._write_at)
            ):
                self.is_due = True

    def take(self) -> bytearray:
        """Take all that waits out, to be written."""
        with self._lock:
            self._taken, self._taken_lines = self._buffer, self.lines
            self._empty()
            return self._taken

    def done(self) -> int:
        """Forget what was taken out, as it is written.

        Returns
        -------
        int
            How many lines it was; 0 if they were given up meanwhile.
        """
        with self._lock:
            lines = self._taken_lines
            self._taken, self._taken_lines = bytearray(), 0
            self._write_at = time.monotonic() + WRITE_SECONDS
            return lines

    def put_back(self) -> None:
        """Have what was taken out wait again, before what came meanwhile.

        What was given up meanwhile is forgotten.
        """
        with self._lock:
            taken, self._taken = self._taken, bytearray()
            if self._taken_lines:
                taken += self._buffer
                self._buffer = taken
                self.lines += self._taken_lines
                self._taken_lines = 0
                self.deadline = 0.0

    def lose(self) -> int:
        """Give up what waits and what was taken out; return how many lines it was."""
        with self._lock:
            lines = self.lines + self._taken_lines
            self.lines_lost += lines
            self._taken_lines = 0
            self._empty()
            return lines

    def after_fork(self) -> None:
        """In a child process: leave what waits to the parent, without a count."""
        # A signal's handler may log a line amid another one: hence no plain Lock.
        self._lock = threading.RLock()
        self._empty()
        self._taken, self._taken_lines = bytearray(), 0

    def _empty(self) -> None:
        self._buffer, self.lines, self.deadline = bytearray(), 0, float("inf")
