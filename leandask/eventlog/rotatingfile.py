"""RotatingFile: a file that is appended to in whole lines, and rotated by size."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from pathlib import Path
from weakref import WeakValueDictionary

from leandask.eventlog.backups import backup, shift
from leandask.eventlog.filelock import Turn, hold_alone, is_alone
from leandask.eventlog.gzipping import Gzipping
from leandask.eventlog.target import Target

#: Bytes that a pipe which can be written takes without waiting.
PIPE_BYTES = select.PIPE_BUF
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
    #: Whether renamed files are gzipped, in a thread.
    compress: bool
    #: Seconds between two checks whether the file is still at its path.
    check_interval: float
    #: Seconds between two tries to rotate a file that can't be renamed.
    rotate_interval: float
    #: Seconds that a write waits for the reader of a pipe.
    write_timeout: float
    #: Why the file is not rotated, or a rotated one not gzipped; the owner reports it
    #: and clears it. It is not reported here: the thread that would report it may hold
    #: a lock that the reporting handler waits for.
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
        self.write_timeout = write_timeout
        self.lock = threading.Lock()
        self.problem = ""
        self.remarks = []
        self._told: set[str] = set()
        self._fd: int | None = None
        self._size = 0  # of the file, in bytes
        self._check_at = 0.0  # time.monotonic() of the next check of the path
        self._rotate_at = 0.0  # time.monotonic() before which it is not rotated
        self._turn = Turn()
        self._is_torn = False  # a pipe took a part of a line
        self._gzipping: Gzipping | None = None

    @classmethod
    def at(
        cls, path: Path, max_bytes: int | None, backups: int, compress: bool
    ) -> RotatingFile:
        """Return the file at a path: the process has one for each path.

        Two would rotate each other's lines away. The settings of the last call apply.
        """
        new = cls(path, max_bytes, backups, compress)
        file = _known.setdefault(new.path, new)
        file.max_bytes, file.backups, file.compress = max_bytes, backups, compress
        return file

    @property
    def path(self) -> Path:
        """Where it is. A missing folder is created."""
        return self._target.path

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
            if self._target.is_in_place(self._fd):
                self._check_at = now + self.check_interval
                self._look(self._fd)
                return self._fd
            self.close()
        for _ in range(ATTEMPTS):
            self._fd = self._target.open()
            try:
                self._look(self._fd)
                break
            except BlockingIOError:  # another process has just rotated it
                self.close()
        else:
            raise BlockingIOError(errno.EAGAIN, "It is rotated all the time")
        self._check_at = now + self.check_interval
        if self._target.remark:
            self._tell(f"The event log {self.path} {self._target.remark}")
        if self._target.is_regular:
            self._is_torn = False
            if self._size and os.pread(self._fd, 1, self._size - 1) != b"\n":
                # A killed writer left a torn line, or another process is writing.
                self._size += os.write(self._fd, b"\n")
        return self._fd

    def write(self, lines: bytearray) -> None:
        """Append all lines, or raise an OSError.

        What is left in `lines` after an error is to be written again.
        """
        fd = self.open()
        if self._is_full(len(lines)) and time.monotonic() >= self._rotate_at:
            fd = self._rotate(fd)
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
        self._size += written

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

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

    def _look(self, fd: int) -> None:
        """Note how large the file is, and tell if another process writes to it."""
        if self._target.is_regular:
            self._size = os.fstat(fd).st_size  # it may have been truncated
            if not is_alone(fd):
                self._tell(
                    f"Another process writes to the event log {self.path}, too. "
                    "{scheduler_id} in leandask.event-log.path gives each its own"
                )

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.remarks.append(text)

    def _write_some(self, fd: int, lines: bytearray, begin: int) -> int:
        end = len(lines)
        if not self._target.is_regular:
            end = begin + PIPE_BYTES
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            if not poll.poll(self.write_timeout * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "Its reader does not read")
        with memoryview(lines) as view, view[begin:end] as part:
            return os.write(fd, part)

    def _take_back(self, fd: int, lines: bytearray, written: int) -> None:
        """Remove what a failed write has written, or forget the lines that it wrote."""
        if written and self._target.is_regular and hold_alone(fd):
            os.ftruncate(fd, os.fstat(fd).st_size - written)
        elif written:
            whole = lines.rfind(b"\n", 0, written) + 1
            self._is_torn = whole < written
            del lines[:whole]

    def _is_full(self, more: int) -> bool:
        size = self._size  # one line may be larger than the bound
        return bool(
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
        except BlockingIOError:  # another process rotates a file, or gzips one
            self._rotate_at = time.monotonic() + PAUSE
            return fd
        try:
            if self._target.is_in_place(fd):  # else another process has rotated it
                self._look(fd)  # who shares it may not have opened the next one yet
                shift(self.path, self.backups)
                if self.backups and self.compress:
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
