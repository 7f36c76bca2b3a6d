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

#: Seconds between two looks whether the file is still in its place.
LOOK_SECONDS = 1.0
#: Seconds between two tries to rotate a file that can't be renamed.
ROTATE_SECONDS = 60.0

_known: WeakValueDictionary[Path, RotatingFile] = WeakValueDictionary()


class RotatingFile:
    """A file at a path, whatever becomes of the file or of its folder.

    A file that was removed is told before the next write; one that was moved or
    truncated by a look once a second. Only its owner can read it (mode 0600).

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made where there is none.
    max_bytes : int or None
        Size at which it is renamed to ``path.1``; None never does. One that can't be
        renamed grows beyond it, and is tried again once a minute.
    backups : int
        Renamed files kept.
    compress : bool
        Whether these are gzipped, by a thread of their own.

    Notes
    -----
    Whoever calls :meth:`write` or :meth:`close` holds :attr:`lock`.
    """

    #: Why the file is not rotated, or a rotated one not gzipped, until somebody tells
    #: of it, and empties it. Not told from here: who waits for the thread, or for the
    #: lock, may hold the lock of where it would be told.
    trouble: str

    def __init__(
        self, path: Path, max_bytes: int | None, backups: int, compress: bool
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.backups = backups
        self.compress = compress
        self.lock = threading.Lock()
        self.trouble = ""
        self._fd: int | None = None
        self._size = 0  # of the file, in bytes
        self._look_at = 0.0  # time.monotonic() of the next look at the path
        self._rotate_at = 0.0  # time.monotonic() before which it is not rotated
        self._compressing: threading.Thread | None = None

    @classmethod
    def at(
        cls, path: Path, max_bytes: int | None, backups: int, compress: bool
    ) -> RotatingFile:
        """Return the file at a path, of which there is one in the whole process.

        Two would rotate each other's lines away. What is asked for last holds.
        """
        file = _known.setdefault(path, cls(path, max_bytes, backups, compress))
        file.max_bytes, file.backups, file.compress = max_bytes, backups, compress
        return file

    def look(self) -> None:
        """Look at the path before the next write."""
        self._look_at = 0.0

    def write(self, lines: bytearray) -> None:
        """Append lines, all or none.

        Raises
        ------
        OSError
            If they can't be written. What was written of them is taken back.
        """
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
        """Close the file; the next write opens it anew."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def join(self) -> None:
        """Wait until what was rotated is gzipped."""
        if self._compressing is not None:
            self._compressing.join()
            self._compressing = None

    def after_fork(self) -> None:
        """In a child process: leave the file and the thread to the parent."""
        self._compressing = None
        self.lock = threading.Lock()
        self.close()

    def _open(self) -> int:
        now = time.monotonic()
        if self._fd is not None:
            # What has no name any more is removed: to write to it is to lose it.
            if now < self._look_at and os.fstat(self._fd).st_nlink:
                return self._fd
            if self._is_in_place(self._fd):
                self._look_at = now + LOOK_SECONDS
                return self._fd
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        fd = self._fd = os.open(self.path, flags, 0o600)
        self._look_at = now + LOOK_SECONDS
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
        """Rename the file if that can be done, and open what is in its place then."""
        self.join()
        self.close()
        try:
            self._rename()
        except OSError as e:
            self._rotate_at = time.monotonic() + ROTATE_SECONDS
            self.trouble = (
                f"Can't rotate {self.path}: {e}. It is written on, beyond "
                f"{self.max_bytes} bytes; next try in {ROTATE_SECONDS:.0f} s"
            )
            return self._open()
        if self.backups and self.compress:
            thread = threading.Thread(target=self._compress, name="leandask-gzip")
            try:
                thread.start()
                self._compressing = thread
            except RuntimeError as e:  # no more threads, or the interpreter ends
                self._note_trouble(e)
        return self._open()

    def _rename(self) -> None:
        if not self.backups:
            self.path.unlink(missing_ok=True)
        # Up to the first free number only: a try that fails moves no older files on.
        for i in range(self._free(), 0, -1):
            for suffix in ("", ".gz") if i > 1 else ("",):
                source = self._backup(i - 1, suffix)
                if source.exists():
                    for old in ("", ".gz"):
                        self._backup(i, old).unlink(missing_ok=True)
                    source.rename(self._backup(i, suffix))

    def _free(self) -> int:
        """Return the first number that no rotated file has, or the last of them."""
        for i in range(1, self.backups):
            if not any(self._backup(i, suffix).exists() for suffix in ("", ".gz")):
                return i
        return self.backups

    def _backup(self, i: int, suffix: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{i}{suffix}") if i else self.path

    def _compress(self) -> None:
        """Put a gzipped file in the place of the last one that was rotated."""
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
            with contextlib.suppress(OSError):  # it may be what fills the disk
                partial.unlink(missing_ok=True)
            self._note_trouble(e)

    def _note_trouble(self, error: Exception) -> None:
        self.trouble = f"Can't compress {self._backup(1)}: {error}. It stays as it is"
