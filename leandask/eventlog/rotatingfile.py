"""RotatingFile: a file that is appended to in whole lines, and rotated by size."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from weakref import WeakValueDictionary

from leandask.eventlog.backups import backup, shift
from leandask.eventlog.filelock import Turn, hold_with_others, is_alone
from leandask.eventlog.frames.frameappender import FrameAppender
from leandask.eventlog.gzipping import Gzipping
from leandask.eventlog.lineappender import LineAppender
from leandask.eventlog.target import Target

#: Attempts to open the file while other processes rotate it.
ATTEMPTS = 10
#: Seconds until a rotation is tried again while another process rotates a file.
PAUSE = 0.05

_known: WeakValueDictionary[Path, RotatingFile] = WeakValueDictionary()


class RotatingFile:
    """A file that is appended to at a path, and created again if it was removed.

    A file that was removed is noticed before the next write; one that was moved or
    truncated within `check_interval`. A file that it makes can be read by its owner
    alone (mode 0600).

    A pipe, a device or a socket is written to, and never rotated.

    Callers of :meth:`open`, :meth:`write` and :meth:`close` must hold :attr:`lock`.
    """

    #: Size at which the file is renamed to ``path.1``; None never does. A file that
    #: can't be renamed grows beyond it.
    max_bytes: int | None
    #: Renamed files kept.
    backups: int
    #: Whether renamed files are gzipped, in a thread, unless they are compressed.
    compress: bool
    #: Appends lines as they are, or as frames of a compressed file.
    appender: LineAppender | FrameAppender
    #: Seconds between two checks whether the file is still at its path.
    check_interval: float
    #: Seconds between two tries to rotate a file that can't be renamed.
    rotate_interval: float
    #: Why the file is not rotated or closed, or a rotated one not gzipped; the owner
    #: reports it and clears it. It is not reported here: the thread that would report
    #: it may hold a lock that the reporting handler waits for.
    problem: str
    #: What is to be told once: who else writes or reads the file.
    remarks: list[str]
    #: Held by callers, see above.
    lock: threading.Lock

    def __init__(
        self,
        path: Path,
        max_bytes: int | None,
        backups: int,
        compress: bool,
        compression: str = "none",
        *,
        check_interval: float = 1.0,
        rotate_interval: float = 60.0,
        write_timeout: float = 1.0,
    ) -> None:
        self._target = Target(path)
        self.max_bytes = max_bytes
        self.backups = backups
        self.compress = compress
        self.check_interval = check_interval
        self.rotate_interval = rotate_interval
        self.appender = (
            LineAppender(write_timeout)
            if compression == "none"
            else FrameAppender(compression, write_timeout)
        )
        self.lock = threading.Lock()
        self.problem = ""
        self.remarks = []
        self._is_shared = False  # another process has written to it
        self._told: set[str] = set()
        self._fd: int | None = None
        self._size = 0  # of the file, in bytes
        self._check_at = 0.0  # time.monotonic() of the next check of the path
        self._rotate_at = 0.0  # time.monotonic() before which it is not rotated
        self._turn = Turn()
        self._gzipping: Gzipping | None = None

    @classmethod
    def at(
        cls,
        path: Path,
        max_bytes: int | None,
        backups: int,
        compress: bool,
        compression: str = "none",
    ) -> RotatingFile:
        """Return the file at a path: the process has one for each path.

        Two would rotate each other's lines away. The settings of the last call apply,
        except the compression, which the path tells.
        """
        new = cls(path, max_bytes, backups, compress, compression)
        file = _known.setdefault(new.path, new)
        file.max_bytes, file.backups, file.compress = max_bytes, backups, compress
        return file

    @property
    def path(self) -> Path:
        """Where it is. A missing folder is created."""
        return self._target.path

    @property
    def is_compressed(self) -> bool:
        """Whether lines are compressed as they are written."""
        return isinstance(self.appender, FrameAppender)

    def recheck(self) -> None:
        """Have the next write check whether the file is still at its path."""
        self._check_at = 0.0

    def open(self) -> int:
        """Open the file, unless the one that is open is still at its path."""
        now = time.monotonic()
        if self._fd is not None:
            # Without a link the file is removed, and what is written to it is lost.
            if now < self._check_at and os.fstat(self._fd).st_nlink:
                return self._fd
            if self._is_kept(self._fd):
                self._check_at = now + self.check_interval
                return self._fd
            self.close()
        for _ in range(ATTEMPTS):
            self._fd = self._target.open()
            if self._is_kept(self._fd):
                break
            self.close()
        else:
            raise BlockingIOError(errno.EAGAIN, "It is rotated all the time")
        self._turn.restart()
        self._check_at = now + self.check_interval
        if self._target.remark:
            self._tell(f"The event log {self.path} {self._target.remark}")
        try:
            self.appender.begin(self._fd, self._target.is_regular)
        except OSError:
            self.close()
            raise
        return self._fd

    def write(self, lines: bytearray) -> None:
        """Append all lines, or raise an OSError.

        What is left in `lines` after an error is to be written again.
        """
        data = self.appender.encode(lines)
        fd = self.open()
        if self._is_full(len(data)) and time.monotonic() >= self._rotate_at:
            fd = self._rotate(fd)
        self.appender.append(fd, data)  # type: ignore[arg-type]
        self._size = os.fstat(fd).st_size  # others may append to it, too

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd is not None:
            # It is gone even if closing fails, as it may on a network file system.
            fd, self._fd = self._fd, None
            try:
                os.close(fd)
            except OSError as e:
                self.problem = (
                    f"Can't close {self.path}: {e}. Its last lines may be lost"
                )

    def join(self) -> None:
        """Wait until the rotated file is gzipped."""
        if self._gzipping is not None:
            self._gzipping.join()
            self._gzipping = None

    def after_fork(self) -> None:
        """In a child process: leave the file and the thread to the parent process."""
        if self._gzipping is not None:
            self._gzipping.close()
            self._gzipping = None
        self.lock = threading.Lock()
        self.close()

    def _is_kept(self, fd: int) -> bool:
        """Look at the file; return whether what is written to it stays.

        Another process may have compressed and removed it before it was locked here.
        Then it is not at its path.
        """
        try:
            self._look(fd)
        except BlockingIOError:  # another process has just rotated it
            return False
        return self._target.is_in_place(fd)

    def _look(self, fd: int) -> None:
        """Note how large the file is, and tell if another process writes to it."""
        if self._target.is_regular:
            self._size = os.fstat(fd).st_size  # it may have been truncated
            if self._is_shared:
                hold_with_others(fd)
            elif not is_alone(fd):
                self._is_shared = True
                self._tell(
                    f"Another process writes to the event log {self.path}, too. "
                    "{scheduler_id} in leandask.event-log.path gives each its own"
                )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.remarks.append(text)

    def _is_full(self, more: int) -> bool:
        size = self._size  # one line may be larger than the bound
        return self.appender.is_foreign or bool(
            self._target.is_regular
            and self.max_bytes
            and size
            and size + more > self.max_bytes
        )

    def _rotate(self, fd: int) -> int:
        """Rename the file if possible, and open the file that is then at the path."""
        self.join()
        try:
            self._turn.take(self.path.parent, fd)
        except BlockingIOError:  # another process rotates a file, or gzips this one
            self._rotate_at = time.monotonic() + PAUSE
            self.recheck()  # it may not be locked any more
            return self.open()
        try:
            # Looked at again, as who shares it may not have opened the next one yet.
            if self._is_kept(fd):
                # What is not ours is not removed in its first rotation.
                shift(self.path, self.backups or int(self.appender.is_foreign))
                # The rotated file is complete once no other process has it open.
                if self.backups and self.compress and not self.is_compressed:
                    self._gzip(fd)
            self.close()
        except OSError as e:
            self._rotate_at = time.monotonic() + self.rotate_interval
            self.problem = (
                f"Can't rotate {self.path}: {e}. It grows beyond {self.max_bytes} "
                f"bytes; next try in {self.rotate_interval:.0f} s"
            )
        finally:
            self._turn.end()
        return self.open()

    def _gzip(self, fd: int) -> None:
        """Gzip the file that was rotated last, and end the turn after that."""
        if not self._turn.keeps_names:
            self._note_problem("another process holds the folder")
            return
        self._fd, owned = None, [fd, *self._turn.held]
        self._turn.held = []
        try:
            self._gzipping = Gzipping(backup(self.path, 1), owned, self._note_problem)
        except RuntimeError as e:  # no more threads, or the interpreter exits
            self._note_problem(e)

    def _note_problem(self, error: object) -> None:
        rotated = backup(self.path, 1)
        self.problem = f"Can't gzip {rotated}: {error}. It stays as it is"
