"""RotatingFile: a file that is appended to in whole lines, and rotated by size."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import threading
import time
from pathlib import Path
from weakref import WeakValueDictionary

_known: WeakValueDictionary[Path, RotatingFile] = WeakValueDictionary()


class RotatingFile:
    """A file that is appended to at a path, and created again if it was removed.

    A file that was removed is noticed before the next write; one that was moved or
    truncated within `check_interval`. Only the owner of the process can read it (mode
    0600).

    Callers of :meth:`write` and :meth:`close` must hold :attr:`lock`.
    """

    #: A missing folder is created.
    path: Path
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
    #: Why the file is not rotated, or a rotated one not gzipped; the owner reports it
    #: and clears it. It is not reported here: the thread that would report it may hold
    #: a lock that the reporting handler waits for.
    problem: str
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
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        self.compress = compress
        self.check_interval = check_interval
        self.rotate_interval = rotate_interval
        self.lock = threading.Lock()
        self.problem = ""
        self._fd: int | None = None
        self._size = 0  # of the file, in bytes
        self._check_at = 0.0  # time.monotonic() of the next check of the path
        self._rotate_at = 0.0  # time.monotonic() before which it is not rotated
        self._compressing: threading.Thread | None = None

    @classmethod
    def at(
        cls, path: Path, max_bytes: int | None, backups: int, compress: bool
    ) -> RotatingFile:
        """Return the file at a path: the process has one for each path.

        Two would rotate each other's lines away. The settings of the last call apply.
        """
        file = _known.setdefault(path, cls(path, max_bytes, backups, compress))
        file.max_bytes, file.backups, file.compress = max_bytes, backups, compress
        return file

    def recheck(self) -> None:
        """Have the next write check whether the file is still at its path."""
        self._check_at = 0.0

    def write(self, lines: bytearray) -> None:
        """Append all lines, or raise an OSError and append none of them."""
        fd = self._open()
        if self._is_full(len(lines)) and time.monotonic() >= self._rotate_at:
            fd = self._rotate()
        written = 0
        try:
            with memoryview(lines) as view:
                while written < len(view):
                    written += os.write(fd, view[written:])
        except OSError:
            if written:
                os.ftruncate(fd, os.fstat(fd).st_size - written)
            raise
        self._size += written

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def join(self) -> None:
        """Wait until the rotated file is gzipped."""
        if self._compressing is not None:
            self._compressing.join()
            self._compressing = None

    def after_fork(self) -> None:
        """In a child process: leave the file and the thread to the parent process."""
        self._compressing = None
        self.lock = threading.Lock()
        self.close()

    def _open(self) -> int:
        now = time.monotonic()
        if self._fd is not None:
            # Without a link the file is removed, and what is written to it is lost.
            if now < self._check_at and os.fstat(self._fd).st_nlink:
                return self._fd
            if self._is_in_place(self._fd):
                self._check_at = now + self.check_interval
                return self._fd
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        fd = self._fd = os.open(self.path, flags, 0o600)
        self._check_at = now + self.check_interval
        self._size = os.fstat(fd).st_size
        if self._size and os.pread(fd, 1, self._size - 1) != b"\n":
            self._size += os.write(fd, b"\n")  # a killed writer left a torn line
        return fd

    def _is_in_place(self, fd: int) -> bool:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        self._size = found.st_size  # it may have been truncated
        return os.path.samestat(found, os.fstat(fd))

    def _is_full(self, more: int) -> bool:
        size = self._size  # one line may be larger than the bound
        return bool(self.max_bytes and size and size + more > self.max_bytes)

    def _rotate(self) -> int:
        """Rename the file if possible, and open the file that is then at the path."""
        self.join()
        self.close()
        try:
            self._rename()
        except OSError as e:
            self._rotate_at = time.monotonic() + self.rotate_interval
            self.problem = (
                f"Can't rotate {self.path}: {e}. It grows beyond {self.max_bytes} "
                f"bytes; next try in {self.rotate_interval:.0f} s"
            )
            return self._open()
        if self.backups and self.compress:
            thread = threading.Thread(target=self._compress, name="leandask-gzip")
            try:
                thread.start()
                self._compressing = thread
            except RuntimeError as e:  # no more threads, or the interpreter exits
                self._note_problem(e)
        return self._open()

    def _rename(self) -> None:
        if not self.backups:
            self.path.unlink(missing_ok=True)
        # Only up to the first free number: a failed try must not move older files.
        for i in range(self._first_free(), 0, -1):
            for suffix in ("", ".gz") if i > 1 else ("",):
                source = self._backup(i - 1, suffix)
                if source.exists():
                    for old in ("", ".gz"):
                        self._backup(i, old).unlink(missing_ok=True)
                    source.rename(self._backup(i, suffix))

    def _first_free(self) -> int:
        """Return the first number that no rotated file has, or else the last number."""
        for i in range(1, self.backups):
            if not any(self._backup(i, suffix).exists() for suffix in ("", ".gz")):
                return i
        return self.backups

    def _backup(self, i: int, suffix: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{i}{suffix}") if i else self.path

    def _compress(self) -> None:
        """Replace the file that was rotated last by a gzipped one."""
        path, gzipped = self._backup(1), self._backup(1, ".gz")
        partial = gzipped.with_name(f"{gzipped.name}.part")
        try:
            partial.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with (
                path.open("rb") as source,
                open(os.open(partial, flags, 0o600), "wb") as raw,
                gzip.open(raw, "wb", compresslevel=6) as target,
            ):
                shutil.copyfileobj(source, target, 1024 * 1024)
            partial.rename(gzipped)
            path.unlink()
        except OSError as e:
            with contextlib.suppress(OSError):  # it may have filled the disk
                partial.unlink(missing_ok=True)
            self._note_problem(e)

    def _note_problem(self, error: Exception) -> None:
        self.problem = f"Can't gzip {self._backup(1)}: {error}. It stays as it is"
