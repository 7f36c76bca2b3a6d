"""Gzipping: replaces a rotated file by a gzipped one, in a thread."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from leandask.eventlog.filelock import hold_alone

#: Seconds in which another process must notice that a file it writes was rotated.
PATIENCE = 2.5


class Gzipping:
    """Replaces a rotated file by a gzipped one, in a thread that it starts.

    Parameters
    ----------
    path : pathlib.Path
        The file. It must not be renamed meanwhile.
    owned : list of int
        Descriptors that are closed at the end: the one that the file was written with,
        and the folder, in which no other process may rotate files meanwhile.
    failed : callable
        Called with an error if the file stays as it is.

    Raises
    ------
    RuntimeError
        If no thread can start.
    """

    def __init__(
        self, path: Path, owned: list[int], failed: Callable[[object], None]
    ) -> None:
        self._path = path
        self._source = owned[0]
        self._owned = owned
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="leandask-gzip")
        try:
            self._thread.start()
        except RuntimeError:
            self.close()
            raise

    def join(self) -> None:
        """Wait until the file is gzipped."""
        self._thread.join()

    def close(self) -> None:
        """Let go of the file and the folder."""
        while self._owned:
            os.close(self._owned.pop())

    def _run(self) -> None:
        gzipped = self._path.with_name(f"{self._path.name}.gz")
        partial = gzipped.with_name(f"{gzipped.name}.part")
        try:
            # Another process appends to it until it notices that it was renamed.
            if not hold_alone(self._source, PATIENCE):
                raise BlockingIOError(errno.EAGAIN, "Another process has it open")
            self._check_in_place()
            partial.unlink(missing_ok=True)  # of a process that was killed
            self._write(partial)
            self._check_in_place()
            partial.rename(gzipped)
            _sync(gzipped.parent)
            self._check_in_place()
            self._path.unlink()
        except OSError as e:
            with contextlib.suppress(OSError):  # it may have filled the disk
                partial.unlink(missing_ok=True)
            self._failed(e)
        finally:
            self.close()

    def _check_in_place(self) -> None:
        if not os.path.samestat(os.lstat(self._path), os.fstat(self._source)):
            raise FileNotFoundError(errno.ENOENT, "It was renamed meanwhile")

    def _write(self, partial: Path) -> None:
        """Write the gzipped file. It is on the disk before the plain one is removed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with (
            open(self._source, "rb", closefd=False) as source,
            open(os.open(partial, flags, 0o600), "wb") as raw,
        ):
            source.seek(0)
            with gzip.open(raw, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
            raw.flush()
            os.fsync(raw.fileno())


def _sync(folder: Path) -> None:
    """Have the names in a folder written to the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
