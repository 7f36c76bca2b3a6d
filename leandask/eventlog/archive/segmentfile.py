"""SegmentFile: the segment that is written, and the next one when it is full."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from leandask.eventlog.archive.lifefolder import LifeFolder, Segment
from leandask.eventlog.archive.segments import segment_name
from leandask.eventlog.frames.frameappender import FrameAppender


class SegmentFile:
    """What a :class:`LineWriter` writes to: one segment after the other.

    Callers of its methods must hold :attr:`lock`, except for :meth:`recheck`.

    Parameters
    ----------
    folder : LifeFolder
    compression : str
        ``"zstd"`` or ``"gzip"``.
    max_bytes : int
        Size at which the next segment begins.
    closed : callable
        Called with each segment that is complete.
    """

    #: As :class:`LinesFile` has them.
    is_compressed = True
    problem: str
    remarks: list[str]
    lock: threading.Lock

    def __init__(
        self,
        folder: LifeFolder,
        compression: str,
        max_bytes: int,
        closed: Callable[[Segment], object],
    ) -> None:
        self.folder = folder
        self.ending = ".zst" if compression == "zstd" else ".gz"
        self.max_bytes = max_bytes
        self.problem = ""
        self.remarks = []
        self.lock = threading.Lock()
        self._appender = FrameAppender(compression, 1.0)
        self._closed = closed
        self._fd: int | None = None
        #: The segment that is written; None between two.
        self._path: Path | None = None
        self._number = self._size = 0
        self._start = 0.0

    @property
    def path(self) -> Path:
        """Where it is, for messages."""
        return self._path or self.folder.path

    def recheck(self) -> None:
        """Do nothing: nobody else moves a segment."""

    def open(self) -> int:
        """Open the segment, or the next one."""
        if self._fd is not None and os.fstat(self._fd).st_nlink:
            return self._fd
        self.close()
        path = self._path or self._next()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(path, flags, 0o600)
        self._path = path
        self._appender.begin(self._fd, True)
        self._size = os.fstat(self._fd).st_size
        return self._fd

    def write(self, lines: bytearray) -> None:
        """Append all lines as a frame, or raise an OSError."""
        data = self._appender.encode(lines)
        if self._size and self._size + len(data) > self.max_bytes:
            self.cut()
        fd = self.open()
        self._appender.append(fd, data)
        self._size += len(data)

    def cut(self) -> None:
        """Complete the segment, so that the next line begins another one."""
        if self._path is not None and self._size:
            self.close()
            self._closed(Segment(self._path, self._size))
            self._path, self._size = None, 0

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def after_fork(self) -> None:
        """In a child process: leave the file to the parent process."""
        self.lock = threading.Lock()
        self.close()

    def _next(self) -> Path:
        # Names in their order are records in theirs, even if the clock is set back.
        self._start = max(time.time(), self._start)
        self._number += 1
        return self.folder.path / segment_name(self._start, self._number, self.ending)
