"""LineBuffer: lines that wait to be written together."""

from __future__ import annotations

import logging
import threading
import time

#: Bytes that are worth a write, and a frame of a compressed file: frames of 64 KiB take
#: an eighth more, those of 1 MiB hardly less.
WRITE_BYTES, FRAME_BYTES = 64 * 1024, 256 * 1024
#: Between two writes this many seconds or bytes must pass. A write releases the GIL,
#: and may wait for 5 ms until a busy event loop returns it.
PAUSE_SECONDS, PAUSE_BYTES = 0.01, 1024 * 1024
#: Warnings that are due at once: so many, and one more for each time that so many
#: seconds have passed; the others share a write after these seconds. A write is a frame
#: of a compressed file, and a thousand tasks may err at once.
WARNINGS, WARNING_SECONDS = 20, 0.1
#: Bytes that may wait while nothing can be written; further lines are lost.
MAX_BYTES = 4 * 1024 * 1024


class LineBuffer:
    """Lines that wait to be written together, up to 4 MiB.

    Several threads may use it. Its lock is held only for a change, never during a wait.
    """

    #: Longest time in seconds that a line should wait.
    interval: float
    #: Bytes that are worth a write.
    write_bytes: int
    #: Lines that wait, without those that are being written.
    lines: int
    #: Lines that are lost: those that did not fit, and those that were given up, even
    #: if a write that hung writes them later.
    lines_lost: int
    #: Whether the lines should be written now.
    is_due: bool
    #: When the oldest line has waited for long enough, by ``time.monotonic()``.
    deadline: float

    # The lines that wait, and those that were taken to be written.
    _buffer: bytearray
    _taken: bytearray
    _taken_lines: int

    def __init__(self, interval: float, write_bytes: int = WRITE_BYTES) -> None:
        self.interval = interval
        self.write_bytes = write_bytes
        self.lines_lost = 0
        self.is_due = False
        self._write_at = 0.0  # time.monotonic() from which these are worth a write
        # When all `WARNINGS` may be due at once again, by time.monotonic().
        self._calm_at = 0.0
        self.after_fork()

    def __len__(self) -> int:
        """Bytes that wait, without those that are being written."""
        return len(self._buffer)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self)}/{MAX_BYTES} bytes, "
            f"{self.lines} lines, {self.lines_lost} lost>"
        )

    def add(self, line: bytes, level: int) -> None:
        """Add a line, and note whether the lines should be written now."""
        with self._lock:
            buffer = self._buffer
            waiting = len(buffer) + len(self._taken)
            if waiting and waiting + len(line) >= MAX_BYTES:
                self.lines_lost += 1
                return
            if not buffer:
                self.deadline = time.monotonic() + self.interval
            buffer += line
            buffer += b"\n"
            self.lines += 1
            if (level >= logging.WARNING and self._is_urgent()) or (
                len(buffer) >= self.write_bytes
                and (len(buffer) >= PAUSE_BYTES or time.monotonic() >= self._write_at)
            ):
                self.is_due = True

    def take(self) -> bytearray:
        """Take all lines, to write them. ``confirm`` or ``put_back`` must follow."""
        with self._lock:
            self._taken, self._taken_lines = self._buffer, self.lines
            self._empty()
            return self._taken

    def confirm(self) -> int:
        """Forget the lines that were taken, as they are written.

        Returns how many they were: 0 if they were given up meanwhile.
        """
        with self._lock:
            lines = self._taken_lines
            self._taken, self._taken_lines = bytearray(), 0
            self._write_at = time.monotonic() + PAUSE_SECONDS
            return lines

    def put_back(self) -> None:
        """Put the lines that were taken before those that were added since.

        Lines that were given up meanwhile are forgotten.
        """
        with self._lock:
            taken, self._taken = self._taken, bytearray()
            if self._taken_lines:
                taken += self._buffer
                self._buffer = taken
                self.lines += self._taken_lines
                self._taken_lines = 0
                self.deadline = 0.0

    def give_up(self) -> int:
        """Count all lines as lost, also those that were taken; return how many."""
        with self._lock:
            lines = self.lines + self._taken_lines
            self.lines_lost += lines
            self._taken_lines = 0
            self._empty()
            return lines

    def after_fork(self) -> None:
        """In a child process: leave the lines to the parent process, uncounted."""
        # Reentrant, as a signal handler may log while this thread adds a line.
        self._lock = threading.RLock()
        self._empty()
        self._taken, self._taken_lines = bytearray(), 0

    def _is_urgent(self) -> bool:
        """Whether a warning is due at once, or soon as there were many."""
        now = time.monotonic()
        calm_at = max(self._calm_at, now) + WARNING_SECONDS
        if calm_at > now + WARNINGS * WARNING_SECONDS:
            self.deadline = min(self.deadline, now + WARNING_SECONDS)
            return False
        self._calm_at = calm_at
        return True

    def _empty(self) -> None:
        self._buffer, self.lines, self.deadline = bytearray(), 0, float("inf")
