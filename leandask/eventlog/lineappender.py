"""LineAppender: appends whole lines to a file, or to a pipe."""

from __future__ import annotations

import errno
import os
import select

from leandask.eventlog.filelock import hold_alone

#: Bytes that a pipe which can be written takes without waiting.
PIPE_BYTES = select.PIPE_BUF


class LineAppender:
    """Appends lines as they are, of which none follows a torn one.

    Parameters
    ----------
    write_timeout : float
        Seconds that a write waits for the reader of a pipe.
    """

    #: Whether the file is to be rotated, as it is not ours.
    is_foreign = False

    def __init__(self, write_timeout: float) -> None:
        self.write_timeout = write_timeout
        self._is_regular = False
        self._is_torn = False  # a pipe took a part of a line

    def encode(self, lines: bytearray) -> bytearray:
        """Return what is to be appended for some lines."""
        return lines

    def begin(self, fd: int, is_regular: bool) -> None:
        """Note what was opened, and end a torn line in it."""
        self._is_regular = is_regular
        if is_regular:
            self._is_torn = False
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                # A killed writer left a torn line, or another process is writing.
                os.write(fd, b"\n")

    def append(self, fd: int, lines: bytearray) -> None:
        """Append all lines, or raise an OSError.

        What is left in `lines` after an error is to be written again.
        """
        if self._is_torn:
            lines[:0] = b"\n"
            self._is_torn = False
        written = 0
        try:
            while written < len(lines):
                written += self._write_some(fd, lines, written)
        except OSError:
            self._take_back(fd, lines, written)
            raise

    def _write_some(self, fd: int, lines: bytearray, begin: int) -> int:
        end = len(lines)
        if not self._is_regular:
            end = begin + PIPE_BYTES
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            if not poll.poll(self.write_timeout * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "Its reader does not read")
        with memoryview(lines) as view, view[begin:end] as part:
            return os.write(fd, part)

    def _take_back(self, fd: int, lines: bytearray, written: int) -> None:
        """Remove what a failed write has written, or forget the lines that it wrote."""
        if written and self._is_regular and hold_alone(fd):
            os.ftruncate(fd, os.fstat(fd).st_size - written)
        elif written:
            whole = lines.rfind(b"\n", 0, written) + 1
            self._is_torn = whole < written
            del lines[:whole]
