"""Locks between the processes that write one event log.

They are advisory, and end with their process. On a network file system they hold
between the processes of one machine at least.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

#: Seconds that a rotation waits for a process that holds the folder. One that reads
#: holds it for some 10 ms, unless it is stopped.
PATIENCE = 1.0


def is_alone(fd: int) -> bool:
    """Whether no other process has a log open for writing; notes that this one has.

    Raises
    ------
    BlockingIOError
        If another process holds the file for itself, as it compresses it.
    """
    # Where this fails, what this process held is let go.
    alone = hold_alone(fd)
    hold_with_others(fd)
    return alone


def hold_with_others(fd: int) -> None:
    """Note that this process has a log open for writing.

    Raises
    ------
    BlockingIOError
        If another process holds the file for itself, as it compresses it.
    """
    for _ in range(10):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:  # for a moment, while another process asks the same
            time.sleep(0.001)
        except OSError:  # a file system without locks
            return
    raise BlockingIOError("another process is compressing the file")


def hold_alone(fd: int, timeout: float = 0.0) -> bool:
    """Hold a file until it is closed, unless another process has it open for writing.

    Returns
    -------
    bool
        False if another process has it open. True also where files have no locks.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return True


def hold_folder(folder: Path, how: int = fcntl.LOCK_EX) -> int | None:
    """Hold a folder, in which one process at a time rotates logs, until it is closed.

    Returns
    -------
    int or None
        To be closed; None where a folder can't be held.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it can't be listed
        return None
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    except OSError:
        with contextlib.suppress(OSError):
            os.close(fd)
        return None
    return fd


class Turn:
    """The turn of this process to rotate a log, while no other one rotates it.

    A process that is stopped (SIGSTOP) may hold the folder for ever. After a second, a
    log that is open here alone is rotated all the same, as nobody else rotates it. If
    the log is shared, only those who read may hold the folder; the others who write to
    it wait for the log.
    """

    #: What is to be closed when the log is rotated.
    held: list[int]
    #: Whether a rotated file keeps its name until what is held is closed.
    keeps_names: bool

    def __init__(self) -> None:
        self.held = []
        self.keeps_names = True
        self._waits_since: float | None = None  # time.monotonic()

    def take(self, folder: Path, fd: int) -> None:
        """Take the turn to rotate the log that is open as `fd`.

        Raises
        ------
        BlockingIOError
            If it is the turn of another process.
        """
        now = time.monotonic()
        since = self._waits_since = (
            now if self._waits_since is None else self._waits_since
        )
        try:
            held = hold_folder(folder)
            self._waits_since = None
            self.keeps_names = True
        except BlockingIOError:
            if now < since + PATIENCE:
                raise
            self.keeps_names = is_alone(fd)
            held = None if self.keeps_names else _hold_shared(folder, fd)
        self.held = [] if held is None else [held]

    def restart(self) -> None:
        """Wait anew, as it is another file that will have to be rotated."""
        self._waits_since = None

    def end(self) -> None:
        """Let other processes rotate the log."""
        while self.held:
            os.close(self.held.pop())


def _hold_shared(folder: Path, fd: int) -> int | None:
    """Hold a log until it is closed, while only those who read hold its folder."""
    held = hold_folder(folder, fcntl.LOCK_SH)
    try:
        # All who write hold a shared flock(), which does not meet this lock. On a
        # network file system it does, and this one is refused.
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if held is not None:
            os.close(held)
        raise BlockingIOError("another process rotates the file") from e
    return held


@contextlib.contextmanager
def standing_still(folder: Path, timeout: float = 0.25) -> Iterator[None]:
    """Have no process rotate logs in a folder, if none does so for `timeout` seconds.

    It is for the moment in which files are listed and opened. Rotations wait for it,
    though not for longer than a second.
    """
    fd = None
    deadline = time.monotonic() + timeout
    while True:
        try:
            fd = hold_folder(folder, fcntl.LOCK_SH)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:  # it is gzipping: nothing is rotated
                break
            time.sleep(0.002)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)
