"""Waiting: the segments that wait for their upload, within a bound."""

from __future__ import annotations

import contextlib
import threading
from collections import deque

from leandask.eventlog.archive.lifefolder import Segment

#: Segments that may wait. Far fewer do: while uploads fail only full ones are cut.
MOST = 10_000


class Waiting:
    """Segments on the disk that wait, the oldest first, up to a size of all.

    Several threads may use it.

    Parameters
    ----------
    most_bytes : int
        Beyond it the oldest segment is removed, and counted as lost.
    """

    #: Segments that were uploaded, and lost, with their bytes.
    uploaded: int
    uploaded_bytes: int
    lost: int
    lost_bytes: int
    #: Bytes that wait.
    nbytes: int

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.uploaded = self.uploaded_bytes = self.lost = self.lost_bytes = 0
        self.nbytes = 0
        self._segments: deque[Segment] = deque()
        #: The one that is being uploaded: it is not among the others.
        self._taken: Segment | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._segments) + (self._taken is not None)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.nbytes}/{self.most_bytes} bytes, "
            f"{len(self)} segments, {self.lost} lost>"
        )

    def add(self, segment: Segment) -> None:
        """Add the newest segment, and remove the oldest ones beyond the bound."""
        with self._lock:
            self._segments.append(segment)
            self.nbytes += segment.nbytes
            while self._segments and (
                self.nbytes > self.most_bytes or len(self._segments) > MOST
            ):
                oldest = self._segments.popleft()
                self.nbytes -= oldest.nbytes
                self.lost += 1
                self.lost_bytes += oldest.nbytes
                with contextlib.suppress(OSError):
                    oldest.path.unlink()

    def take(self) -> Segment | None:
        """Take the oldest segment to upload it, or None if none waits."""
        with self._lock:
            if self._taken is None and self._segments:
                self._taken = self._segments.popleft()
            return self._taken

    def put_back(self) -> None:
        """Put back the segment that was taken, as its upload failed."""
        with self._lock:
            if self._taken is not None:
                self._segments.appendleft(self._taken)
                self._taken = None

    def confirm(self) -> None:
        """Remove the segment that was taken, as it is uploaded."""
        self._end(is_lost=False)

    def give_up(self) -> None:
        """Count the segment that was taken as lost, as its file is gone."""
        self._end(is_lost=True)

    def _end(self, is_lost: bool) -> None:
        with self._lock:
            assert self._taken is not None
            taken, self._taken = self._taken, None
            self.nbytes -= taken.nbytes
            if is_lost:
                self.lost += 1
                self.lost_bytes += taken.nbytes
            else:
                self.uploaded += 1
                self.uploaded_bytes += taken.nbytes
        with contextlib.suppress(OSError):
            taken.path.unlink()

    def after_fork(self) -> None:
        """In a child process: leave the segments to the parent process."""
        self._lock = threading.Lock()
        self._segments, self._taken, self.nbytes = deque(), None, 0
