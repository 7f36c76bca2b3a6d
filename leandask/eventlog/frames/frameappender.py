"""FrameAppender: appends whole frames to a file that others may append to, too."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from leandask.eventlog.frames.codec import BrokenFrame, TornFrame, codec_of
from leandask.eventlog.frames.walk import frame_ends


class FrameAppender:
    """Appends lines to a file, as frames of which none follows a torn one.

    Other programs read a compressed file up to the first torn frame only: a frame that
    a killed process or a full disk left is cut off before anything follows it. Two
    processes take turns, so that none is cut off while it is being written.

    Parameters
    ----------
    compression : str
        ``"gzip"`` or ``"zstd"``.
    lock_timeout : float
        Seconds to wait for another process that is writing.

    Raises
    ------
    ImportError
        If it needs a package that is not installed.
    """

    #: Whether there is something else than frames in the file. It is to be rotated, as
    #: what is appended to it could only be read by leandask.
    is_foreign: bool

    def __init__(self, compression: str, lock_timeout: float) -> None:
        self._codec = codec_of(compression)
        self.lock_timeout = lock_timeout
        self.is_foreign = False
        #: Where the whole frames end, as far as it is known.
        self._whole = 0
        #: Whether the lock can be had. A network file system may refuse it, as it takes
        #: the lock that tells who writes for the same.
        self._has_lock = True

    def encode(self, lines: bytearray) -> bytes:
        """Return the frame that is to be appended for some lines."""
        return self._codec.compress(lines)

    def begin(self, fd: int, is_regular: bool) -> None:
        """Note a file that was opened, and cut off a torn frame at its end."""
        if not is_regular:
            raise OSError(errno.EINVAL, "Only a file can be compressed")
        self._whole = 0
        self.is_foreign = False
        self._has_lock = self._lock(fd)
        with self._turn(fd):
            pass

    def append(self, fd: int, frame: bytes) -> None:
        """Append a frame, or raise an OSError."""
        with self._turn(fd) as begin:
            written = 0
            try:
                while written < len(frame):
                    written += os.write(fd, memoryview(frame)[written:])
            except OSError:
                if written:
                    with contextlib.suppress(OSError):  # the next turn tries it again
                        os.ftruncate(fd, begin)
                raise
            self._whole = begin + written

    @contextlib.contextmanager
    def _turn(self, fd: int) -> Iterator[int]:
        """Have the file end with a whole frame while no other process writes to it.

        Yields its size.
        """
        if self._has_lock and not self._lock(fd):
            raise BlockingIOError(errno.EAGAIN, "Another process is writing to it")
        try:
            yield self._mend(fd)
        finally:
            if self._has_lock:
                fcntl.lockf(fd, fcntl.LOCK_UN)

    def _lock(self, fd: int) -> bool:
        """Wait for the lock of a write; return False if it can't be had."""
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError as e:
                is_held = e.errno in (errno.EACCES, errno.EAGAIN)
                if not is_held or time.monotonic() >= deadline:
                    return False
                time.sleep(0.001)

    def _mend(self, fd: int) -> int:
        """Walk over what others have appended, and cut off a torn frame."""
        size = os.fstat(fd).st_size
        if size == self._whole:
            return size
        if size < self._whole or not self._walk(fd):
            # It was emptied, and may have grown again.
            self._whole = 0
            if not self._walk(fd):
                os.ftruncate(fd, self._whole)
        return self._whole

    def _walk(self, fd: int) -> bool:
        """Go on to the end of the whole frames; return False if a torn one follows."""
        begin = self._whole
        try:
            for end in frame_ends(fd, self._codec, begin):
                self._whole = end
        except TornFrame:
            return False
        except BrokenFrame:
            if begin:
                return False
            self.is_foreign = True
            self._whole = os.fstat(fd).st_size
        return True
